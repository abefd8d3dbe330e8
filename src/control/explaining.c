#include "control/explaining.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void finish(struct explain_run *run, const struct ask_explained *answer)
{
	explaining_cancel(run);
	run->done(run, answer);
}

static void on_timeout(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	finish(list_entry(t, struct explain_run, timer), NULL);
}

void explaining_init(struct explain_run *run, struct tellers *t,
	void (*done)(struct explain_run *run, const struct ask_explained *answer))
{
	*run = (struct explain_run){.of = t, .done = done};
	list_init(&run->link);
	wheel_timer_init(&run->timer, on_timeout);
}

void explaining_start(
	struct explain_run *run, const char *database, const char *user, const char *sql)
{
	struct tellers *t = run->of;
	size_t len = strlen(sql);
	struct tell_explain *m = calloc(1, sizeof *m + len + 1);

	PANIC_IF(!list_is_empty(&run->link));
	run->token = ++t->token;
	list_push_back(&t->explains, &run->link);
	env_timer(t->env, &run->timer, m != NULL ? TELL_TIMEOUT_US : 0);
	if (m == NULL)
		return;
	m->mail.kind = TELL_EXPLAIN;
	m->token = run->token;
	text_copy(m->database, sizeof m->database, database);
	text_copy(m->user, sizeof m->user, user);
	memcpy(m->sql, sql, len);
	mailbox_post(&t->env->shared->workers[0].mailbox, &m->mail);
}

void explaining_cancel(struct explain_run *run)
{
	list_del(&run->link);
	wheel_del(&run->of->env->wheel, &run->timer);
}

void explaining_take(struct tellers *t, struct ask_explained *answer)
{
	struct list *it;

	list_foreach (it, &t->explains) {
		struct explain_run *run = list_entry(it, struct explain_run, link);

		if (run->token != answer->token)
			continue;
		finish(run, answer);
		break;
	}
	free(answer);
}
