#include "worker/hidden.h"

#include "worker/advanced.h"
#include "worker/confirm.h"
#include "worker/custom.h"
#include "worker/forward.h"
#include "worker/found_out.h"
#include "worker/link.h"
#include "worker/login.h"
#include "worker/loss.h"
#include "worker/pass.h"
#include "worker/pinning.h"
#include "worker/probe.h"
#include "worker/unit.h"
#include "worker/worker.h"

void hidden_row(struct worker *w, struct server *s, struct rd body)
{
	const struct owed_entry *head = owed_head(&s->owed);

	if (head->tag == OWED_TAG_PROBE && s->client != NULL)
		probe_row(w, s->client, body);
	else if (head->tag == OWED_TAG_ADVANCED && s->client != NULL)
		advanced_row(s->client);
	else if (head->tag == OWED_TAG_FOUND)
		found_out_row(head->ref, body);
}

static void welcome_done(struct worker *w, struct server *s)
{
	struct client *c = s->client;
	const struct welcome *x;

	if (c == NULL || !server_is_quiet(s))
		return; /* a second message follows */
	x = account_welcome_add(w, c->acc, c->set.current, &c->busy->learned);
	link_break(w, c);
	server_release(w, s);
	if (x != NULL)
		login_greet(w, c, x);
	else
		pass_no_memory(w, c);
}

/* Nothing of the client's has run there since its settings went there, nor is its state there. */
static bool may_leave(const struct client *c, const struct server *s)
{
	return c->busy->settings_wait && s->owed.n_client == 0 && c->busy->sent_len == 0 &&
	       (c->txn == TXN_NONE || c->txn == TXN_DEFERRED) && !c->busy->confirming &&
	       !pins_any(&c->busy->pins) && c->acc->mode != POOL_MODE_SESSION;
}

/* A temporary table that nobody has seen may be the cause: the next try is to get another server.
 */
static void late_for_temp_buffers(const struct client *c, struct server *s)
{
	s->had_temp = s->had_temp || settings_get(c->set.current, "temp_buffers") != NULL;
}

/* The unit that waits for them is not sent: its client reads why. The server is cleaned. */
static void refuse_unit(struct worker *w, struct server *s)
{
	struct client *c = s->client;
	struct report r = report_of("ERROR", s->fatal_sqlstate, s->fatal_message);

	late_for_temp_buffers(c, s);
	link_leave(w, c);
	c->busy->unit_error = false;
	unit_refuse(w, c, &r);
	s->fatal_sqlstate[0] = '\0';
}

/*
 * The settings could not be given to the server: what runs there now runs wrongly. If its client
 * has left it, nobody sees that; what it has then of them is not known.
 */
static void diff_failed(struct worker *w, struct server *s)
{
	if (s->client != NULL) {
		log_warn(w->log, "settings could not be applied",
			"server=%lu client=%lu sqlstate=%s error=%s", (unsigned long)s->id,
			(unsigned long)s->client->id, s->fatal_sqlstate,
			LOG_Q_LONG(s->fatal_message));
		if (!may_leave(s->client, s)) {
			server_close(w, s, SERVER_END_PROTOCOL);
			return;
		}
		refuse_unit(w, s);
	}
	s->dirt |= CLEAN(ALL);
	custom_not_made(w, s);
}

static void welcome_failed(struct worker *w, struct server *s)
{
	struct client *c = s->client;
	struct settings *none = settings_empty(w->settings);
	struct report r = report_of("FATAL", s->fatal_sqlstate, s->fatal_message);

	/*
	 * Nothing of the message holds; a second one, of custom parameters, may. This is noted
	 * before the client goes, for another may get the server with that.
	 */
	server_set_settings(w, s, none);
	settings_unref(w->settings, none);
	s->dirt |= CLEAN(ALL);
	if (c != NULL) {
		late_for_temp_buffers(c, s);
		client_fatal(w, c, &r, CLIENT_END_LOGIN);
	}
	s->fatal_sqlstate[0] = '\0';
}

/* What was asked about the client's last transaction is answered. */
static void goes_on(struct worker *w, struct client *c)
{
	if (link_may_release(c, c->server)) {
		link_release(w, c, c->server);
		return;
	}
	if (pins_any(&c->busy->pins) && !c->busy->pin_counted)
		pinning_found(w, c);
	(void)probe_send(w, c);
}

void hidden_ready(struct worker *w, struct server *s, struct owed_entry e)
{
	bool failed = s->hidden_failed;

	s->hidden_failed = false;
	switch ((enum owed_tag)e.tag) {
	case OWED_TAG_DIFF:
	case OWED_TAG_REDIFF:
		if (failed)
			diff_failed(w, s);
		break;
	case OWED_TAG_BEGIN:
		if (failed && s->client != NULL)
			s->client->busy->deferred_failed = true;
		if (s->client != NULL && s->client->busy->confirming)
			confirm_hide(s);
		break;
	case OWED_TAG_CONFIRM:
		if (s->client != NULL)
			confirm_succeeded(w, s->client);
		break;
	case OWED_TAG_PROBE:
		if (s->client != NULL && link_may_release(s->client, s))
			link_release(w, s->client, s);
		break;
	case OWED_TAG_FOUND:
		found_out_done(w, s, e.ref, failed);
		if (s->client != NULL)
			goes_on(w, s->client);
		break;
	case OWED_TAG_ADVANCED:
		if (s->client != NULL)
			advanced_done(s->client, failed);
		break;
	case OWED_TAG_CHECK:
		server_was_checked(w, s, failed);
		return;
	case OWED_TAG_RESET:
		if (failed && s->cleaning != 0) {
			server_close(w, s, SERVER_END_CLEAN);
			return;
		}
		break;
	case OWED_TAG_WELCOME:
		if (failed)
			welcome_failed(w, s);
		else
			welcome_done(w, s);
		break;
	default:
		break;
	}
	if (s->state == SERVER_RESET)
		loss_drained(w, s);
	/* What waits until nothing is under way waits for what is hidden, too. */
	if (s->client == NULL || !server_is_quiet(s))
		return;
	client_watch(w, s->client);
	if (s->client->busy->stalled)
		conn_rx_resume(s->client->conn);
}
