#include "worker/replication.h"

#include <stdlib.h>
#include <string.h>

#include "proto/reply.h"
#include "proto/startup.h"
#include "worker/client.h"
#include "worker/dispatch.h"
#include "worker/login.h"

void replication_put_startup(struct wr *out, const struct server *s)
{
	const struct client *c = s->wanted_by;

	startup_put_param(out, "replication",
		s->replication == STARTUP_REPLICATION_DATABASE ? "database" : "true");
	for (size_t i = 0; c != NULL && i < settings_n(c->set.current); i++)
		startup_put_param(
			out, settings_name(c->set.current, i), settings_value(c->set.current, i));
}

/* What it was told, as ParameterStatus messages. The caller's to free. */
static struct welcome *welcome_of(const struct baseline *b)
{
	size_t cap = 0;
	struct welcome *x;
	struct wr out;

	for (uint32_t i = 0; i < b->n; i++)
		cap += strlen(b->params[i].name) + strlen(b->params[i].value) + 16;
	x = calloc(1, sizeof *x + cap);
	if (x == NULL)
		return NULL;
	out = wr_of(x->messages, cap);
	for (uint32_t i = 0; i < b->n; i++)
		reply_put_parameter_status(&out, b->params[i].name, b->params[i].value);
	PANIC_IF(out.bad);
	x->len = out.len;
	return x;
}

void replication_ready(struct worker *w, struct server *s, const struct baseline *params)
{
	static const char cause[] = "replication";
	struct client *c = s->wanted_by;
	struct welcome *x = c != NULL ? welcome_of(params) : NULL;

	if (x == NULL) { /* its client has left, or there is no memory */
		server_close(w, s, c == NULL ? SERVER_END_CLIENT : SERVER_END_MEMORY);
		return;
	}
	server_set_settings(w, s, c->set.current);
	dispatch_private_ready(w, s);
	pins_add(&c->busy->pins, &w->sh->pins, PIN_REPLICATION, w->now_us, cause, sizeof cause - 1);
	login_greet(w, c, x);
	free(x);
}

void replication_refused(struct worker *w, struct client *c, const struct server *s)
{
	struct report r = report_of("FATAL",
		s->fatal_sqlstate[0] != '\0' ? s->fatal_sqlstate : SQLSTATE_CONNECTION_FAILURE,
		s->fatal_message[0] != '\0' ? s->fatal_message
					    : "the connection to the server was lost");

	if (s->fatal_sqlstate[0] == '\0' && s->pool->wants_tls)
		dispatch_welcome(w, c); /* sslmode = allow: again, with TLS */
	else
		client_fatal(w, c, &r, CLIENT_END_LOGIN);
}
