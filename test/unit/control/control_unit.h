/*
 * control_unit - what the tests of control/ share: an environment as control.c builds it, from a
 * configuration given as text, with workers that are arrays of rows.
 */
#ifndef PGWEIR_TEST_CONTROL_UNIT_H
#define PGWEIR_TEST_CONTROL_UNIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/users.h"
#include "conf/conf.h"
#include "control/collect.h"
#include "control/control.h"
#include "control/helpers.h"
#include "control/snapshots.h"
#include "control/tell.h"
#include "route/topology.h"
#include "unit.h"
#include "worker/ask.h"

#define WORLD_WORKERS_MAX 4u
#define WORLD_ROWS_MAX    300u
#define WORLD_WAIT_US     20000000u
#define WORLD_LOG_MAX     65536u

typedef __typeof__(((struct ask_rows *)NULL)->row[0]) world_row;

struct world_worker {
	size_t n[SHOW_ROWS_WORKER + 1];
	world_row *rows[SHOW_ROWS_WORKER + 1]; /* borrowed from the test */
	bool is_silent;                        /* does not answer */
	struct ask_done done;                  /* the answer to TELL_COMMAND */
	struct tell_command last;
	unsigned n_commands, n_refresh, n_stop, n_derived;
	struct ask_derive *derived; /* the last; the test frees it */
};

struct world {
	struct shared sh;
	struct log log;
	struct env env;
	struct collector collector;
	struct tellers tellers;
	struct world_worker workers[WORLD_WORKERS_MAX];
	size_t piece; /* rows in a piece */
	char logged[WORLD_LOG_MAX];
	size_t logged_len;
	/* a mail that the world does not know; may be NULL */
	void (*on_mail)(void *arg, struct mail *m);
	void *arg;
	/* a mail to a worker that it does not know; moved; may be NULL */
	void (*on_tell)(void *arg, uint32_t worker, struct mail *m);
};

/* --- configuration --- */

struct world_text {
	const char *text;
};

static inline enum status world_read(void *arg, const char *path, char **data, size_t *len)
{
	const struct world_text *t = arg;

	(void)path;
	*data = strdup(t->text);
	*len = strlen(t->text);
	return *data != NULL ? OK : E_NOMEM;
}

static inline struct conf *world_conf(const char *text, const struct conf *previous)
{
	struct world_text t = {text};
	struct conf_reader reader = {.read = world_read, .arg = &t};
	struct findings found;
	struct conf *conf = NULL;
	char line[FINDING_LINE_MAX];

	findings_init(&found);
	if (conf_load(&reader, "test.ini", previous, &conf, &found) != OK)
		for (size_t i = 0; i < found.n; i++)
			if (found.items[i].kind == FINDING_ERROR)
				ck_abort_msg(
					"%s", finding_format(&found.items[i], line, sizeof line));
	findings_fini(&found);
	return conf;
}

static inline struct auth_users *world_users(const char *text)
{
	struct hash_key key = {1, 2};
	struct auth_users *users = NULL;
	struct findings found;

	findings_init(&found);
	ck_assert_int_eq(auth_users_parse(text, strlen(text), "users", &key, &users, &found), OK);
	findings_fini(&found);
	return users;
}

/* Another configuration, as a reload publishes it. */
static inline void world_set_conf(struct world *w, const char *text)
{
	const struct conf *old = atomic_load(&w->sh.conf);
	struct conf *next = world_conf(text, old);

	atomic_store(&w->sh.conf, next);
	conf_free((struct conf *)(uintptr_t)old);
}

/* --- the log --- */

static inline void world_sink(void *arg, enum log_level lv, const char *text, const char *kv)
{
	struct world *w = arg;
	size_t left = WORLD_LOG_MAX - w->logged_len;
	int n = snprintf(w->logged + w->logged_len, left, "%d %s %s\n", (int)lv, text, kv);

	if (n > 0 && (size_t)n < left)
		w->logged_len += (size_t)n;
}

static inline bool world_has_logged(const struct world *w, const char *text)
{
	return strstr(w->logged, text) != NULL;
}

static inline void world_forget_log(struct world *w)
{
	w->logged_len = 0;
	w->logged[0] = '\0';
}

/* --- workers --- */

static inline void world_answer_show(struct world *w, uint32_t i, struct tell_show *t)
{
	struct world_worker *k = &w->workers[i];
	size_t left = k->n[t->what] - (size_t)t->cursor, n = left < w->piece ? left : w->piece;
	struct ask_rows *a = calloc(1, sizeof *a + n * sizeof(world_row));

	ck_assert_ptr_nonnull(a);
	a->mail.kind = ASK_ROWS;
	a->worker = i;
	a->what = t->what;
	a->token = t->token;
	a->n = n;
	a->next = n < left ? t->cursor + n : 0;
	if (n != 0)
		memcpy(a->row, &k->rows[t->what][t->cursor], n * sizeof(world_row));
	mailbox_post(&w->sh.control, &a->mail);
}

static inline void world_answer_command(struct world *w, uint32_t i, struct tell_command *t)
{
	struct ask_done *a = malloc(sizeof *a);

	ck_assert_ptr_nonnull(a);
	w->workers[i].last = *t;
	w->workers[i].n_commands++;
	*a = w->workers[i].done;
	a->mail.kind = ASK_DONE;
	a->worker = i;
	a->token = t->token;
	mailbox_post(&w->sh.control, &a->mail);
}

static inline void world_worker_mail(struct world *w, uint32_t i, struct mail *m)
{
	struct world_worker *k = &w->workers[i];

	if (m->kind == TELL_DERIVED) {
		k->n_derived++;
		k->derived = (struct ask_derive *)(void *)m;
		return;
	}
	if (w->on_tell != NULL && (m->kind == TELL_SECRET || m->kind == TELL_VERIFIED ||
					  (m->kind >= TELL_LISTENING && m->kind <= TELL_SETTLED))) {
		w->on_tell(w->arg, i, m);
		return;
	}
	if (m->kind == TELL_SHOW && !k->is_silent)
		world_answer_show(w, i, (struct tell_show *)(void *)m);
	else if (m->kind == TELL_COMMAND && !k->is_silent)
		world_answer_command(w, i, (struct tell_command *)(void *)m);
	k->n_refresh += m->kind == TELL_REFRESH;
	k->n_stop += m->kind == TELL_STOP;
	free(m);
}

static inline void world_mail(struct world *w, struct mail *m)
{
	void *message = m;

	if (m->kind == ASK_ROWS)
		collector_take(&w->collector, message);
	else if (m->kind == ASK_DONE)
		tellers_take(&w->tellers, message);
	else if (m->kind == HELPERS_MAIL)
		helpers_finish(w->env.helpers, m);
	else if (w->on_mail != NULL)
		w->on_mail(w->arg, m);
	else
		ck_abort_msg("mail of kind %d", m->kind);
}

static inline void world_drain(struct mailbox *mb, struct world *w, int worker)
{
	struct mail *next;

	for (struct mail *m = mailbox_take(mb); m != NULL; m = next) {
		next = m->next;
		if (worker >= 0)
			world_worker_mail(w, (uint32_t)worker, m);
		else
			world_mail(w, m);
	}
}

/* --- the whole --- */

static inline void world_wake(void *loop)
{
	loop_wake(loop);
}

static inline void world_no_wake(void *arg)
{
	(void)arg;
}

static inline void world_on_wake(void *arg)
{
	struct world *w = arg;

	world_drain(&w->sh.control, w, -1);
}

/* One turn of the control loop, sleeping at most `us`. */
static inline void world_turn(struct world *w, uint64_t us)
{
	uint64_t until, now;

	for (uint32_t i = 0; i < w->sh.n_workers; i++)
		world_drain(&w->sh.workers[i].mailbox, w, (int)i);
	wheel_run(&w->env.wheel, env_now_us(&w->env), 1000, NULL);
	snap_reclaim(&w->sh.snap);
	now = env_now_us(&w->env);
	until = wheel_next_us(&w->env.wheel);
	if (until > now + us)
		until = now + us;
	for (uint32_t i = 0; i < w->sh.n_workers; i++)
		if (atomic_load(&w->sh.workers[i].mailbox.head) != NULL)
			until = 0;
	ck_assert_int_eq(loop_turn(w->env.loop, until), OK);
}

#define world_turn_until(w, cond)                                                         \
	do {                                                                              \
		uint64_t give_up_ = env_now_us(&(w)->env) + WORLD_WAIT_US;                \
		while (!(cond)) {                                                         \
			ck_assert_msg(env_now_us(&(w)->env) < give_up_, "never: " #cond); \
			world_turn((w), 20000);                                           \
		}                                                                         \
	} while (0)

static inline void world_init(
	struct world *w, const char *conf, const char *users, uint32_t n_workers)
{
	const struct loop_conf lc = {.rx_len = 65536,
		.bufpool_keep_max = 1u << 20,
		.turn_budget = 65536,
		.on_wake = world_on_wake,
		.arg = w};
	struct config_set set = {.conf = world_conf(conf, NULL), .users = world_users(users)};

	memset(w, 0, sizeof *w);
	w->piece = SHOW_ROWS_MAX;
	atomic_store(&w->log.level, LOG_DEBUG);
	w->log.sink = world_sink;
	w->log.sink_arg = w;
	w->sh.log = &w->log;
	w->sh.hash_key = (struct hash_key){3, 4};
	snap_domain_init(&w->sh.snap);
	set.tls = calloc(1, sizeof *set.tls);
	ck_assert_int_eq(control_prepare(&w->sh, &set), OK);
	w->env.shared = &w->sh;
	list_init(&w->env.pq_orphans);
	ck_assert_int_eq(loop_new(&lc, &w->env.loop), OK);
	wheel_init(&w->env.wheel, loop_now_us(w->env.loop));
	w->sh.start_mono_us = loop_now_us(w->env.loop);
	w->sh.start_wall_us = 1767225600u * 1000000ull; /* 2026-01-01 */
	mailbox_init(&w->sh.control, world_wake, w->env.loop);
	w->sh.n_workers = n_workers;
	for (uint32_t i = 0; i < n_workers; i++)
		mailbox_init(&w->sh.workers[i].mailbox, world_no_wake, NULL);
	collector_init(&w->collector, &w->env);
	tellers_init(&w->tellers, &w->env);
}

static inline void world_add_helpers(struct world *w, uint32_t n)
{
	struct helpers_conf hc = {
		.n_threads = n, .slow_max = n, .queue_max = 100, .answers = &w->sh.control};

	ck_assert_int_eq(helpers_new(&hc, &w->env.helpers), OK);
}

static inline void world_fini(struct world *w)
{
	if (w->env.helpers != NULL) {
		ck_assert(helpers_stop(w->env.helpers, 10000));
		world_drain(&w->sh.control, w, -1);
		helpers_free(w->env.helpers);
	}
	for (uint32_t i = 0; i < w->sh.n_workers; i++)
		world_drain(&w->sh.workers[i].mailbox, w, (int)i);
	for (struct mail *m = mailbox_take(&w->sh.control), *next; m != NULL; m = next) {
		next = m->next;
		free(m);
	}
	snapshots_free(&w->sh);
	snap_domain_fini(&w->sh.snap);
	loop_free(w->env.loop);
}

#define WORLD_CONF                                                       \
	"[databases]\n"                                                  \
	"app = host=10.0.0.1,10.0.0.2,10.0.0.3 user=appuser password=s " \
	"monitor_user=mon monitor_password=mpw\n"                        \
	"one = host=10.0.0.9 port=6000 dbname=uno pool_size=7\n"         \
	"[users]\n"                                                      \
	"big = pool_size=50 pool_mode=session\n"                         \
	"[pgweir]\n"                                                     \
	"listen_addr = 127.0.0.1\n"                                      \
	"listen_port = 6432\n"                                           \
	"lag_check_interval = 20ms\n"                                    \
	"node_timeout = 500ms\n"                                         \
	"admin_users = adm\n"                                            \
	"stats_users = st\n"

#define WORLD_USERS       \
	"\"adm\" \"x\"\n" \
	"\"st\" \"x\"\n"  \
	"\"plain\" \"pw\"\n"

#endif
