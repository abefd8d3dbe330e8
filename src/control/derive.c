#include "control/derive.h"

#include <stdlib.h>
#include <string.h>

#include "control/helpers.h"
#include "proto/scram.h"

struct derive_job {
	struct job job;
	struct env *env;
	struct ask_derive *ask;
};

/* On a helper. */
static void derive_run(struct job *j)
{
	struct ask_derive *ask = list_entry(j, struct derive_job, job)->ask;
	struct scram_salt salt = {.iterations = ask->iterations, .len = ask->salt_len};

	memcpy(salt.bytes, ask->salt, ask->salt_len);
	ask->status = scram_derive(ask->password, &salt, &ask->keys);
}

static void answer(struct env *env, struct ask_derive *ask)
{
	if (env->ended) {
		scram_wipe(ask, sizeof *ask);
		free(ask);
		return;
	}
	ask->mail.kind = TELL_DERIVED;
	mailbox_post(&env->shared->workers[ask->worker].mailbox, &ask->mail);
}

static void derive_done(struct job *j)
{
	struct derive_job *d = list_entry(j, struct derive_job, job);

	answer(d->env, d->ask);
	free(d);
}

void derive_take(struct env *env, struct ask_derive *ask)
{
	struct derive_job *d = malloc(sizeof *d);

	_Static_assert(sizeof ask->salt <= SCRAM_SALT_MAX, "a salt fits");
	PANIC_IF(ask->worker >= env->shared->n_workers || ask->salt_len > sizeof ask->salt);
	ask->status = E_NOMEM;
	if (d == NULL) {
		answer(env, ask);
		return;
	}
	d->job = (struct job){.run = derive_run, .done = derive_done};
	d->env = env;
	d->ask = ask;
	ask->status = E_LIMIT; /* unless a helper gets to it */
	if (helpers_submit(env->helpers, &d->job) != OK)
		derive_done(&d->job);
}
