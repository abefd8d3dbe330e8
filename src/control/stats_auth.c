#include "control/stats_auth.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "auth/decide.h"
#include "control/helpers.h"
#include "proto/base64.h"
#include "proto/saslprep.h"

struct stats_auth {
	struct env *env;
	uint8_t key[SCRAM_KEY_LEN]; /* random, of `known` */
	uint8_t known[STATS_AUTH_KNOWN_MAX][SCRAM_KEY_LEN];
	uint32_t n_known; /* ever: the oldest one gives way */
	uint32_t n_jobs;
	struct list jobs;
};

/* What came in the header. */
struct given {
	char text[STATS_AUTH_HEADER_MAX + 1]; /* the name, NUL, the password, NUL */
	const char *password;
	uint8_t mark[SCRAM_KEY_LEN]; /* of all that the verdict depends on */
};

/* One password, its keys derived on a helper. Goes on when whoever asked has left. */
struct stats_auth_job {
	struct job job;
	struct list link;
	struct stats_auth *of;        /* NULL: it is gone */
	struct stats_auth_request *r; /* NULL: whoever asked has left */
	bool right_user;
	enum status status;
	struct scram_verifier verifier;
	struct scram_keys keys;
	uint8_t mark[SCRAM_KEY_LEN];
	char password[2 * STATS_AUTH_HEADER_MAX + 1]; /* prepared, which may make it longer */
};

/* --- who is asked for --- */

static bool is_same(const char *a, const char *b)
{
	size_t len = strlen(a);

	return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

/* names: separated by commas; changed. */
static enum status find_listed(
	char *names, const char *name, const struct auth_users *users, struct auth_user *out)
{
	const struct auth_user *user;
	char *rest = NULL, *one = strtok_r(names, ", \t", &rest);

	if (one == NULL)
		return E_NOTFOUND;
	for (; one != NULL; one = strtok_r(NULL, ", \t", &rest)) {
		user = auth_users_find(users, one);
		if (user == NULL || user->kind == SECRET_NONE)
			return E_NOTFOUND;
		if (out->name == NULL || (name != NULL && is_same(name, one)))
			*out = *user;
	}
	return OK;
}

enum status stats_auth_user(const char *stats_auth, const char *name,
	const struct auth_users *users, struct stats_auth_user *out)
{
	char *colon;

	memset(out, 0, sizeof *out);
	if (*stats_auth == '\0')
		return OK;
	if (strlen(stats_auth) >= sizeof out->text)
		return E_NOTFOUND;
	strcpy(out->text, stats_auth);
	colon = strchr(out->text, ':');
	if (colon == NULL)
		return find_listed(out->text, name, users, &out->user);
	*colon = '\0';
	if (colon[1] == '\0')
		return E_NOTFOUND;
	return auth_user_of(out->text, colon + 1, &out->verifier, &out->user);
}

void stats_auth_user_wipe(struct stats_auth_user *u)
{
	scram_wipe(u, sizeof *u);
}

/* --- what is given --- */

/* Source: RFC 7617, section 2. */
static bool read_header(const char *authorization, struct given *out)
{
	size_t len;
	char *colon;

	if (authorization == NULL || strncasecmp(authorization, "Basic ", 6) != 0)
		return false;
	authorization += 6;
	authorization += strspn(authorization, " ");
	if (base64_read(authorization, strlen(authorization), (uint8_t *)out->text,
		    STATS_AUTH_HEADER_MAX, &len) != OK)
		return false;
	out->text[len] = '\0';
	colon = strchr(out->text, ':');
	if (colon == NULL || strlen(out->text) != len)
		return false;
	*colon = '\0';
	out->password = colon + 1;
	return true;
}

/* NULs are hashed, too: no two pairs make one text. */
static bool set_mark(const struct stats_auth *a, const struct auth_user *want, struct given *given)
{
	size_t len = (size_t)(given->password - given->text) + strlen(given->password) + 1;
	size_t want_len = strlen(want->secret);
	uint8_t text[STATS_AUTH_HEADER_MAX + 1 + STATS_AUTH_TEXT_MAX];
	bool ok;

	PANIC_IF(want_len > STATS_AUTH_TEXT_MAX);
	memcpy(text, given->text, len);
	memcpy(text + len, want->secret, want_len);
	ok = HMAC(EVP_sha256(), a->key, sizeof a->key, text, len + want_len, given->mark, NULL) !=
	     NULL;
	scram_wipe(text, sizeof text);
	return ok;
}

/* --- the slow part --- */

static void job_run(struct job *j)
{
	struct stats_auth_job *job = list_entry(j, struct stats_auth_job, job);

	job->status = scram_derive(job->password, &job->verifier.salt, &job->keys);
}

static void job_done(struct job *j)
{
	struct stats_auth_job *job = list_entry(j, struct stats_auth_job, job);
	bool ok = job->status == OK && scram_verifier_accepts(&job->verifier, &job->keys) &&
		  job->right_user;
	struct stats_auth_request *r = job->r;
	struct stats_auth *a = job->of;

	if (a != NULL) {
		list_del(&job->link);
		a->n_jobs--;
		if (ok) {
			memcpy(a->known[a->n_known++ % STATS_AUTH_KNOWN_MAX], job->mark,
				sizeof job->mark);
		}
	}
	scram_wipe(job, sizeof *job);
	free(job);
	if (r != NULL) {
		r->job = NULL;
		r->done(r, ok ? STATS_AUTH_YES : STATS_AUTH_NO);
	}
}

static enum stats_auth_verdict start_job(struct stats_auth *a, const struct given *given,
	const struct scram_verifier *verifier, bool right_user, struct stats_auth_request *r)
{
	struct stats_auth_job *job =
		a->n_jobs < STATS_AUTH_JOBS_MAX ? calloc(1, sizeof *job) : NULL;

	if (job == NULL)
		return STATS_AUTH_BUSY;
	job->job = (struct job){.run = job_run, .done = job_done};
	job->of = a;
	job->r = r;
	job->right_user = right_user;
	job->status = E_LIMIT; /* unless a helper gets to it */
	job->verifier = *verifier;
	memcpy(job->mark, given->mark, sizeof job->mark);
	if (saslprep(given->password, job->password, sizeof job->password) != OK ||
		helpers_submit(a->env->helpers, &job->job) != OK) {
		scram_wipe(job, sizeof *job);
		free(job);
		return STATS_AUTH_BUSY;
	}
	list_push_back(&a->jobs, &job->link);
	a->n_jobs++;
	r->job = job;
	return STATS_AUTH_LATER;
}

/* --- the verdict --- */

static bool is_known(const struct stats_auth *a, const struct given *given)
{
	bool found = false;

	for (uint32_t i = 0; i < a->n_known && i < STATS_AUTH_KNOWN_MAX; i++)
		found |= CRYPTO_memcmp(a->known[i], given->mark, sizeof given->mark) == 0;
	return found;
}

static enum stats_auth_verdict compare(struct stats_auth *a, const struct auth_user *want,
	struct given *given, struct stats_auth_request *r)
{
	struct auth_asked asked = {.name = want->name, .user = want};
	bool right_user = is_same(given->text, want->name);
	enum stats_auth_verdict v;
	struct auth_plain_check check;

	if (!set_mark(a, want, given) || auth_check_plain(&asked, given->password, &check) != OK)
		return STATS_AUTH_NO;
	if (check.done)
		v = check.accepted && right_user ? STATS_AUTH_YES : STATS_AUTH_NO;
	else if (right_user && is_known(a, given))
		v = STATS_AUTH_YES;
	else
		v = start_job(a, given, &check.verifier, right_user, r);
	scram_wipe(&check, sizeof check);
	return v;
}

enum stats_auth_verdict stats_auth_check(
	struct stats_auth *a, const char *authorization, struct stats_auth_request *r)
{
	enum stats_auth_verdict v = STATS_AUTH_NO;
	struct stats_auth_user want;
	struct given given;
	bool is_given = read_header(authorization, &given);

	r->job = NULL;
	if (stats_auth_user(env_conf(a->env)->stats_auth, is_given ? given.text : NULL,
		    env_users(a->env), &want) == OK) {
		if (want.user.name == NULL)
			v = STATS_AUTH_YES;
		else if (is_given)
			v = compare(a, &want.user, &given, r);
	}
	stats_auth_user_wipe(&want);
	scram_wipe(&given, sizeof given);
	return v;
}

void stats_auth_cancel(struct stats_auth_request *r)
{
	if (r->job != NULL)
		r->job->r = NULL;
	r->job = NULL;
}

/* --- life --- */

enum status stats_auth_new(struct env *env, struct stats_auth **out)
{
	struct stats_auth *a = calloc(1, sizeof *a);

	if (a == NULL)
		return E_NOMEM;
	a->env = env;
	list_init(&a->jobs);
	if (getentropy(a->key, sizeof a->key) != 0) {
		free(a);
		return E_IO;
	}
	*out = a;
	return OK;
}

void stats_auth_free(struct stats_auth *a)
{
	struct list *it;

	if (a == NULL)
		return;
	while ((it = list_pop_front(&a->jobs)) != NULL) {
		struct stats_auth_job *job = list_entry(it, struct stats_auth_job, link);

		job->of = NULL;
		job->r = NULL;
	}
	scram_wipe(a, sizeof *a);
	free(a);
}
