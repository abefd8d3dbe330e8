#include "worker/external.h"

#include <stdlib.h>

#include "base/text.h"
#include "worker/ask.h"
#include "worker/login.h"
#include "worker/prove.h"

const char *external_name(enum auth_type type)
{
	return type == AUTH_TYPE_PAM ? "PAM" : "LDAP";
}

#define TELL "client=%lu user=%s method=%s reason=%s"
#define TOLD                                         \
	(unsigned long)c->id, LOG_Q(c->login->user), \
		c->login->type == AUTH_TYPE_PAM ? "pam" : "ldap", LOG_Q_LONG(why)

/* An operator may have to act where nobody has said that the password is wrong. */
static void log_refused(
	struct worker *w, const struct client *c, enum verify_result result, const char *why)
{
	if (result == VERIFY_DENIED)
		log_info(w->log, "login refused", TELL, TOLD);
	else
		log_warn(w->log, "login refused, not checked", TELL, TOLD);
}

static struct ask_verify *new_ask(struct worker *w, const struct client *c)
{
	struct ask_verify *ask = worker_mail(sizeof *ask, ASK_VERIFY);
	const struct login *l = c->login;
	uint16_t port;

	if (ask == NULL)
		return NULL;
	ask->answer = worker_mail(sizeof *ask->answer, TELL_VERIFIED);
	if (ask->answer == NULL) {
		free(ask);
		return NULL;
	}
	ask->answer->token = client_token(c);
	ask->worker = w->index;
	ask->method = l->type;
	text_copy(ask->user, sizeof ask->user, l->user);
	text_copy(ask->service, sizeof ask->service, w->conf->auth_pam_service);
	text_copy(ask->options, sizeof ask->options, l->options);
	text_copy(ask->password, sizeof ask->password, l->answer);
	if (!conn_is_unix(c->conn))
		conn_remote(c->conn, ask->host, sizeof ask->host, &port);
	return ask;
}

void external_begin(struct worker *w, struct client *c)
{
	struct ask_verify *ask;

	if (*c->login->answer == '\0') { /* LDAP takes it for somebody who does not log in */
		log_refused(w, c, VERIFY_DENIED, "the password is empty");
		prove_refuse_delayed(w, c);
		return;
	}
	ask = new_ask(w, c);
	if (ask == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	client_transition(w, c, CLIENT_NEEDS_KEY);
	conn_rx_pause(c->conn);
	worker_ask(w, &ask->mail);
}

void external_told(struct worker *w, const struct tell_verified *told)
{
	struct client *c = client_of_token(w, told->token);

	if (c == NULL || c->state != CLIENT_DERIVE)
		return;
	if (told->result == VERIFY_ACCEPTED) {
		c->login->password = c->login->answer;
		c->login->answer = NULL;
		login_proved(w, c);
		return;
	}
	log_refused(w, c, told->result, told->why);
	if (told->result == VERIFY_FULL)
		login_refuse(w, c, SQLSTATE_INSUFFICIENT_RESOURCES, "too many logins at once",
			"See auth_helper_queue and auth_helper_threads.");
	else
		prove_refuse_delayed(w, c);
}

void external_client_gone(struct worker *w, const struct client *c)
{
	struct ask_unasked *ask;

	if (!external_is(c->login->type))
		return;
	ask = worker_mail(sizeof *ask, ASK_UNASKED);
	if (ask == NULL)
		return; /* its answer finds nobody */
	ask->worker = w->index;
	ask->token = client_token(c);
	worker_ask(w, &ask->mail);
}
