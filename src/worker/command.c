#include "worker/command.h"

#include <string.h>

#include "worker/client.h"
#include "worker/queries.h"
#include "worker/server.h"
#include "worker/suspend.h"

static bool is_meant(const struct tell_command *t, const char *database)
{
	return t->database[0] == '\0' || strcmp(t->database, database) == 0;
}

static void kill_client(struct worker *w, struct client *c)
{
	struct report r = report_of("FATAL", SQLSTATE_ADMIN_SHUTDOWN,
		"terminating connection due to administrator command");

	client_fatal(w, c, &r, CLIENT_END_KILLED);
}

static uint32_t kill_clients(struct worker *w, const struct tell_command *t, bool by_id)
{
	struct list *it, *tmp;
	uint32_t n = 0;

	list_foreach_safe (it, tmp, &w->clients) {
		struct client *c = list_entry(it, struct client, link);

		if (by_id ? c->id != t->id : c->db == NULL || !is_meant(t, c->db->name))
			continue;
		kill_client(w, c);
		n++;
	}
	return n;
}

/* Servers of the database that must go: all of them, or those that are idle. */
static void close_servers(struct worker *w, const struct tell_command *t, bool idle_only)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (!is_meant(t, s->pool->acc->db->name) || (idle_only && s->state != SERVER_IDLE))
			continue;
		if (idle_only && !s->pool->acc->db->paused &&
			s->reconnect_no >= s->pool->acc->db->reconnect_no)
			continue;
		server_close(w, s, SERVER_END_OUTDATED);
		tmp = w->servers.next; /* closing one may have closed others */
		if (tmp == &w->servers)
			break;
	}
}

static void count(struct worker *w, const struct tell_command *t, struct ask_done *done)
{
	struct list *it;

	list_foreach (it, &w->servers) {
		const struct server *s = list_entry(it, struct server, link);

		if (!is_meant(t, s->pool->acc->db->name))
			continue;
		if (s->state != SERVER_IDLE)
			done->servers_in_use++;
		if (s->reconnect_no < s->pool->acc->db->reconnect_no || s->close_needed)
			done->servers_outdated++;
	}
	list_foreach (it, &w->clients) {
		const struct client *c = list_entry(it, struct client, link);

		if (c->db != NULL ? is_meant(t, c->db->name) : t->database[0] == '\0')
			done->clients++;
	}
}

void command_run(struct worker *w, const struct tell_command *t)
{
	struct ask_done *done = worker_mail(sizeof *done, ASK_DONE);

	if (done == NULL)
		return;
	done->worker = w->index;
	done->token = t->token;
	switch (t->what) {
	case COMMAND_KILL_DB:
		done->n_hit = kill_clients(w, t, false);
		close_servers(w, t, false);
		break;
	case COMMAND_KILL_CLIENT:
		done->n_hit = kill_clients(w, t, true);
		break;
	case COMMAND_CLOSE_IDLE:
		close_servers(w, t, true);
		break;
	case COMMAND_RESET:
		queries_reset(w);
		break;
	case COMMAND_RESET_ERRORS:
		dbase_reset_errors(w);
		break;
	case COMMAND_COUNT:
		break;
	case COMMAND_CLOSE_UNSENT:
		done->n_hit = suspend_close_unsent(w);
		break;
	}
	if (w->suspended)
		done->unsent = suspend_n_unsent(w);
	count(w, t, done);
	worker_ask(w, &done->mail);
}
