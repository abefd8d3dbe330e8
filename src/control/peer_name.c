#include "control/peer_name.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "control/helpers.h"

#define PASSWD_MAX 16384u /* bytes of one user's entry */

struct peer_job {
	struct job job;
	struct env *env;
	struct ask_peer *ask;
};

/* On a helper. */
static void peer_run(struct job *j)
{
	struct ask_peer *ask = list_entry(j, struct peer_job, job)->ask;
	struct passwd entry, *found = NULL;
	char *buf = malloc(PASSWD_MAX);

	ask->status = E_NOMEM;
	if (buf == NULL)
		return;
	ask->status = E_NOTFOUND;
	if (getpwuid_r(ask->uid, &entry, buf, PASSWD_MAX, &found) == 0 && found != NULL &&
		strlen(found->pw_name) < sizeof ask->name) {
		memcpy(ask->name, found->pw_name, strlen(found->pw_name) + 1);
		ask->status = OK;
	}
	free(buf);
}

static void answer(struct env *env, struct ask_peer *ask)
{
	if (env->ended) {
		free(ask);
		return;
	}
	ask->mail.kind = TELL_PEER;
	mailbox_post(&env->shared->workers[ask->worker].mailbox, &ask->mail);
}

static void peer_done(struct job *j)
{
	struct peer_job *p = list_entry(j, struct peer_job, job);

	answer(p->env, p->ask);
	free(p);
}

void peer_name_take(struct env *env, struct ask_peer *ask)
{
	struct peer_job *p = malloc(sizeof *p);

	PANIC_IF(ask->worker >= env->shared->n_workers);
	ask->status = E_NOMEM;
	if (p == NULL) {
		answer(env, ask);
		return;
	}
	p->job = (struct job){.run = peer_run, .done = peer_done};
	p->env = env;
	p->ask = ask;
	ask->status = E_LIMIT; /* unless a helper gets to it */
	if (helpers_submit(env->helpers, &p->job) != OK)
		peer_done(&p->job);
}
