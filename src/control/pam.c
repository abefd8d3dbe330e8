#include "control/pam.h"

#include <config.h>

#ifdef HAVE_PAM

#include <netdb.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

struct talk {
	const char *password;
	char said[128]; /* by a module: its last error message */
};

/* --- the conversation --- */

static void free_replies(struct pam_response *replies, int n)
{
	for (int i = 0; i < n; i++) {
		if (replies[i].resp == NULL)
			continue;
		explicit_bzero(replies[i].resp, strlen(replies[i].resp));
		free(replies[i].resp);
	}
	free(replies);
}

static int reply_to(struct talk *t, const struct pam_message *m, struct pam_response *reply)
{
	switch (m->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
		reply->resp = strdup(t->password); /* PAM wipes and frees it */
		return reply->resp != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
	case PAM_ERROR_MSG:
		text_copy(t->said, sizeof t->said, m->msg != NULL ? m->msg : "");
		return PAM_SUCCESS;
	case PAM_TEXT_INFO:
		return PAM_SUCCESS;
	default: /* something else than a password is asked for */
		return PAM_CONV_ERR;
	}
}

static int talk(int n, const struct pam_message **messages, struct pam_response **out, void *arg)
{
	struct pam_response *replies;
	int rc = PAM_SUCCESS;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	replies = calloc((size_t)n, sizeof *replies);
	if (replies == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n && rc == PAM_SUCCESS; i++)
		rc = reply_to(arg, messages[i], &replies[i]);
	if (rc == PAM_SUCCESS && out != NULL) /* who only tells something may want no reply */
		*out = replies;
	else
		free_replies(replies, n);
	return rc;
}

/* Who is refused waits by login_failure_delay, and holds no thread meanwhile. */
static void no_delay(int result, unsigned us, void *arg)
{
	(void)result;
	(void)us;
	(void)arg;
}

/* --- the question --- */

/* The host's name for its address, where there is one. */
static void find_name(const char *address, char *out, size_t cap)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *a = NULL;

	text_copy(out, cap, address);
	if (getaddrinfo(address, NULL, &hints, &a) != 0)
		return;
	if (getnameinfo(a->ai_addr, a->ai_addrlen, out, (socklen_t)cap, NULL, 0, NI_NAMEREQD) != 0)
		text_copy(out, cap, address);
	freeaddrinfo(a);
}

static int set_items(pam_handle_t *pam, const struct verify_question *q)
{
	union {
		void (*fn)(int result, unsigned us, void *arg);
		const void *item;
	} delay = {.fn = no_delay};
	char host[NI_MAXHOST];
	int rc;

	if (*q->ask->host == '\0')
		text_copy(host, sizeof host, "[local]"); /* PostgreSQL's word */
	else if (q->options->pam_use_hostname)
		find_name(q->ask->host, host, sizeof host);
	else
		text_copy(host, sizeof host, q->ask->host);
	rc = pam_set_item(pam, PAM_RHOST, host);
#ifdef PAM_FAIL_DELAY
	if (rc == PAM_SUCCESS)
		rc = pam_set_item(pam, PAM_FAIL_DELAY, delay.item);
#endif
	return rc;
}

static enum verify_result result_of(int rc)
{
	switch (rc) {
	case PAM_SUCCESS:
		return VERIFY_ACCEPTED;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_PERM_DENIED:
	case PAM_ACCT_EXPIRED:
	case PAM_AUTHTOK_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_CRED_INSUFFICIENT:
		return VERIFY_DENIED;
	default:
		return VERIFY_FAILED;
	}
}

static void say(pam_handle_t *pam, const struct talk *t, const char *step, int rc,
	struct verify_answer *out)
{
	verify_say(out, result_of(rc), "%s: %s%s%s", step, pam_strerror(pam, rc),
		*t->said != '\0' ? ": " : "", t->said);
}

void pam_verify(const struct verify_question *q, struct verify_answer *out)
{
	const char *service =
		q->options->pamservice != NULL ? q->options->pamservice : q->ask->service;
	struct talk t = {.password = q->ask->password};
	const struct pam_conv conv = {.conv = talk, .appdata_ptr = &t};
	const char *step = "pam_start";
	pam_handle_t *pam = NULL;
	int rc;

	rc = pam_start(service, q->ask->user, &conv, &pam);
	if (rc == PAM_SUCCESS)
		rc = set_items(pam, q);
	if (rc == PAM_SUCCESS) {
		step = "pam_authenticate";
		rc = pam_authenticate(pam, PAM_SILENT);
	}
	if (rc == PAM_SUCCESS) {
		step = "pam_acct_mgmt";
		rc = pam_acct_mgmt(pam, PAM_SILENT);
	}
	say(pam, &t, step, rc, out);
	if (pam != NULL)
		(void)pam_end(pam, rc);
}

#endif
