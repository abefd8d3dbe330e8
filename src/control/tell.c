#include "control/tell.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
void tellers_init(struct tellers *t, struct env *env)
{
	t->env = env;
	list_init(&t->runs);
	list_init(&t->explains);
	t->token = 0;
}

static void finish(struct tell_run *run, bool complete)
{
	tell_cancel(run);
	run->sum.complete = complete;
	run->done(run, &run->sum);
}

static void on_timeout(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	finish(list_entry(t, struct tell_run, timer), false);
}

void tell_init(struct tell_run *run, struct tellers *t,
	void (*done)(struct tell_run *run, const struct tell_sum *sum))
{
	*run = (struct tell_run){.of = t, .done = done};
	list_init(&run->link);
	wheel_timer_init(&run->timer, on_timeout);
}

static bool post(struct tell_run *run, uint32_t worker, const struct tell_command *what)
{
	struct tell_command *m = malloc(sizeof *m);

	if (m == NULL)
		return false;
	*m = *what;
	mailbox_post(&run->of->env->shared->workers[worker].mailbox, &m->mail);
	return true;
}

void tell_start(struct tell_run *run, enum command_what what, const char *database, uint64_t id)
{
	struct tellers *t = run->of;
	struct tell_command m = {.mail.kind = TELL_COMMAND, .what = what, .id = id};
	bool ok = true;

	PANIC_IF(!list_is_empty(&run->link));
	run->token = m.token = ++t->token;
	text_copy(m.database, sizeof m.database, database);
	memset(&run->sum, 0, sizeof run->sum);
	run->n_left = t->env->shared->n_workers;
	list_push_back(&t->runs, &run->link);
	for (uint32_t i = 0; ok && i < t->env->shared->n_workers; i++)
		ok = post(run, i, &m);
	env_timer(t->env, &run->timer, ok && run->n_left != 0 ? TELL_TIMEOUT_US : 0);
}

void tell_cancel(struct tell_run *run)
{
	list_del(&run->link);
	wheel_del(&run->of->env->wheel, &run->timer);
}

void tellers_take(struct tellers *t, struct ask_done *d)
{
	struct list *it;

	list_foreach (it, &t->runs) {
		struct tell_run *run = list_entry(it, struct tell_run, link);

		if (run->token != d->token)
			continue;
		run->sum.n_hit += d->n_hit;
		run->sum.servers_in_use += d->servers_in_use;
		run->sum.servers_outdated += d->servers_outdated;
		run->sum.clients += d->clients;
		run->sum.unsent += d->unsent;
		if (--run->n_left == 0)
			finish(run, true);
		break;
	}
	free(d);
}

enum status tell_all(struct env *env, enum tell_kind kind)
{
	for (uint32_t i = 0; i < env->shared->n_workers; i++) {
		struct mail *m = calloc(1, sizeof *m);

		if (m == NULL)
			return E_NOMEM;
		m->kind = kind;
		mailbox_post(&env->shared->workers[i].mailbox, m);
	}
	return OK;
}
