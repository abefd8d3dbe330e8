#include "control/collect.h"

#include <stdlib.h>

void collector_init(struct collector *c, struct env *env)
{
	c->env = env;
	list_init(&c->runs);
	c->token = 0;
}

static void on_timeout(void *ctx, struct wheel_timer *t)
{
	struct collect_run *run = list_entry(t, struct collect_run, timer);

	(void)ctx;
	collect_cancel(run);
	run->on_piece(run, NULL);
}

void collect_init(struct collect_run *run, struct collector *c,
	void (*on_piece)(struct collect_run *run, struct ask_rows *rows))
{
	*run = (struct collect_run){.of = c, .on_piece = on_piece};
	list_init(&run->link);
	wheel_timer_init(&run->timer, on_timeout);
}

void collect_start(struct collect_run *run, enum show_what what)
{
	collect_cancel(run);
	run->what = what;
	run->cursor = 0;
	run->worker = 0;
}

bool collect_next(struct collect_run *run)
{
	struct collector *c = run->of;
	struct env *env = c->env;
	struct tell_show *tell;

	PANIC_IF(!list_is_empty(&run->link));
	if (run->worker >= env->shared->n_workers)
		return false;
	run->token = ++c->token;
	list_push_back(&c->runs, &run->link);
	tell = calloc(1, sizeof *tell);
	env_timer(env, &run->timer, tell != NULL ? COLLECT_TIMEOUT_US : 0);
	if (tell == NULL)
		return true;
	tell->mail.kind = TELL_SHOW;
	tell->what = run->what;
	tell->cursor = run->cursor;
	tell->token = run->token;
	mailbox_post(&env->shared->workers[run->worker].mailbox, &tell->mail);
	return true;
}

void collect_cancel(struct collect_run *run)
{
	list_del(&run->link);
	wheel_del(&run->of->env->wheel, &run->timer);
}

void collector_take(struct collector *c, struct ask_rows *rows)
{
	struct collect_run *run;
	struct list *it;

	list_foreach (it, &c->runs) {
		run = list_entry(it, struct collect_run, link);
		if (run->token != rows->token)
			continue;
		PANIC_IF(rows->what != run->what || rows->n > SHOW_ROWS_MAX);
		collect_cancel(run);
		run->cursor = rows->next;
		run->worker += rows->next == 0;
		run->on_piece(run, rows);
		return;
	}
	free(rows); /* whoever asked has gone */
}
