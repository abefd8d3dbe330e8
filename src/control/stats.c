#include "control/stats.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

/* The totals of all databases at one moment. */
struct moment {
	uint64_t at_us;
	size_t n;
	struct show_stats_row *rows; /* sorted by database; the sum of all, "", comes first */
};

struct stats {
	struct env *env;
	struct gather *gather;
	struct gather_request request;
	struct wheel_timer timer;
	void (*own)(void *arg, struct show_stats_row *row);
	void *arg;
	struct moment older, newer;
};

/* --- averages --- */

static uint64_t grown(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

static uint64_t per_second(uint64_t then, uint64_t now, uint64_t us)
{
	unsigned __int128 n = (unsigned __int128)grown(then, now) * 1000000u;

	return us != 0 ? (uint64_t)(n / us) : 0;
}

static uint64_t per_piece(uint64_t then, uint64_t now, uint64_t n_then, uint64_t n_now)
{
	uint64_t n = grown(n_then, n_now);

	return n != 0 ? grown(then, now) / n : 0;
}

void stats_average_of(const struct show_stats_row *then, const struct show_stats_row *now,
	uint64_t us, struct stats_averages *out)
{
	*out = (struct stats_averages){
		.server_assignment_count =
			per_second(then->server_assignment_count, now->server_assignment_count, us),
		.xact_count = per_second(then->xact_count, now->xact_count, us),
		.query_count = per_second(then->query_count, now->query_count, us),
		.received = per_second(then->received, now->received, us),
		.sent = per_second(then->sent, now->sent, us),
		.xact_time = per_piece(
			then->xact_time, now->xact_time, then->xact_count, now->xact_count),
		.query_time = per_piece(
			then->query_time, now->query_time, then->query_count, now->query_count),
		.wait_time = per_piece(then->wait_time, now->wait_time,
			then->server_assignment_count, now->server_assignment_count),
		.client_parse_count =
			per_second(then->client_parse_count, now->client_parse_count, us),
		.server_parse_count =
			per_second(then->server_parse_count, now->server_parse_count, us),
		.bind_count = per_second(then->bind_count, now->bind_count, us),
		.client_login_count =
			per_second(then->client_login_count, now->client_login_count, us),
	};
}

static int compare(const void *a, const void *b)
{
	const struct show_stats_row *x = a, *y = b;

	return strcmp(x->database, y->database);
}

void stats_average(
	const struct stats *s, const struct show_stats_row *now, struct stats_averages *out)
{
	static const struct show_stats_row zero;
	const struct show_stats_row *then = NULL;

	if (s->older.n != 0)
		then = bsearch(now, s->older.rows, s->older.n, sizeof *now, compare);
	stats_average_of(
		then != NULL ? then : &zero, now, grown(s->older.at_us, env_now_us(s->env)), out);
}

/* --- periods --- */

static void log_totals(const struct stats *s, const struct show_stats_row *now)
{
	struct stats_averages a;

	stats_average(s, now, &a);
	log_info(s->env->shared->log, "stats",
		"xacts_per_s=%llu queries_per_s=%llu client_parses_per_s=%llu "
		"server_parses_per_s=%llu binds_per_s=%llu in_bytes_per_s=%llu "
		"out_bytes_per_s=%llu xact_us=%llu query_us=%llu wait_us=%llu clients=%u",
		(unsigned long long)a.xact_count, (unsigned long long)a.query_count,
		(unsigned long long)a.client_parse_count, (unsigned long long)a.server_parse_count,
		(unsigned long long)a.bind_count, (unsigned long long)a.received,
		(unsigned long long)a.sent, (unsigned long long)a.xact_time,
		(unsigned long long)a.query_time, (unsigned long long)a.wait_time,
		atomic_load_explicit(&s->env->shared->n_clients, memory_order_relaxed));
}

static bool moment_of(struct moment *m, const struct stats *s, const struct gathered *g)
{
	size_t n = g->n_stats + 2;
	struct show_stats_row *rows = calloc(n, sizeof *rows);

	if (rows == NULL)
		return false;
	for (size_t i = 0; i < g->n_stats; i++)
		rows[i + 2] = *g->stats[i];
	s->own(s->arg, &rows[1]);
	for (size_t i = 1; i < n; i++)
		stats_row_add(&rows[0], &rows[i]);
	qsort(rows, n, sizeof *rows, compare);
	m->rows = rows;
	m->n = n;
	m->at_us = env_now_us(s->env);
	return true;
}

static void arm(struct stats *s)
{
	env_timer(s->env, &s->timer, env_conf(s->env)->stats_period_us);
}

static void on_gathered(struct gather_request *r, struct gathered *g, enum status st)
{
	struct stats *s = list_entry(r, struct stats, request);
	struct moment now;

	arm(s);
	if (g == NULL) {
		log_warn(s->env->shared->log, "statistics not gathered", "reason=%s",
			status_name(st));
		return;
	}
	if (moment_of(&now, s, g)) {
		if (env_conf(s->env)->log_stats)
			log_totals(s, &now.rows[0]);
		free(s->older.rows);
		s->older = s->newer;
		s->newer = now;
	}
	gathered_release(s->gather, g);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct stats *s = list_entry(t, struct stats, timer);

	(void)ctx;
	gather_ask(s->gather, &s->request, GATHER_STATS);
}

void stats_conf_changed(struct stats *s)
{
	if (wheel_is_armed(&s->timer))
		arm(s);
}

enum status stats_new(struct env *env, struct gather *g,
	void (*own)(void *arg, struct show_stats_row *row), void *arg, struct stats **out)
{
	struct stats *s = calloc(1, sizeof *s);

	if (s == NULL)
		return E_NOMEM;
	s->env = env;
	s->gather = g;
	s->own = own;
	s->arg = arg;
	s->request.done = on_gathered;
	list_init(&s->request.link);
	wheel_timer_init(&s->timer, on_timer);
	s->older.at_us = s->newer.at_us = env_now_us(env);
	arm(s);
	*out = s;
	return OK;
}

void stats_free(struct stats *s)
{
	if (s == NULL)
		return;
	gather_cancel(&s->request);
	wheel_del(&s->env->wheel, &s->timer);
	free(s->older.rows);
	free(s->newer.rows);
	free(s);
}
