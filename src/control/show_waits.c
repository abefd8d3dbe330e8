#include "control/show.h"

#include <stdio.h>
#include <strings.h>

#include "base/value.h"
#include "conf/conf.h"
#include "control/history.h"
#include "state/misuse.h"
#include "state/pins.h"
#include "worker/waits.h"

#define T  REPLY_TYPE_TEXT
#define I8 REPLY_TYPE_INT8

/* --- WAITS --- */

static const struct reply_column waits_columns[] = {
	{"database", T},
	{"waits_for", T},
	{"now", I8},
	{"oldest", I8},
	{"waits", I8},
	{"total_time", I8},
	{"mean", I8},
	{"p50", I8},
	{"p95", I8},
	{"p99", I8},
	{"max", I8},
	{"hint", T},
};

static const char *wait_hint(enum wait_cause cause)
{
	static const char *const hints[] = {
		[WAIT_SERVER] =
			"All servers of the pool are in use: SHOW HEADROOM says how many it takes.",
		[WAIT_SERVER_LOGIN] =
			"A server connection is being opened: min_pool_size keeps some open.",
		[WAIT_NODE] = "No node is fit: SHOW NODES.",
		[WAIT_FRESH] =
			"consistency = strong waits for the next sample: lag_check_interval.",
		[WAIT_MAX_PINNED] =
			"Pinned clients hold their servers: SHOW MISUSE, SHOW PINS, max_pinned.",
		[WAIT_PAUSE] = "The database is or was paused: RESUME.",
		[WAIT_SAME_SERVER] =
			"currval waits for the server that its nextval ran on: RETURNING.",
	};

	return cause < WAIT_CAUSE_COUNT ? hints[cause] : "";
}

static size_t waits_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct show_wait_row *r;

	if (pos >= in->gathered->n_waits)
		return SIZE_MAX;
	r = in->gathered->waits[pos];
	rows_begin(out);
	rows_text(out, r->database);
	rows_text(out, wait_cause_name((enum wait_cause)r->cause));
	rows_u64(out, r->now);
	rows_u64(out, r->oldest_us);
	rows_u64(out, r->hist.count);
	rows_u64(out, r->hist.sum_us);
	rows_u64(out, r->hist.count != 0 ? r->hist.sum_us / r->hist.count : 0);
	rows_u64(out, hist_quantile_us(&r->hist, 0.50));
	rows_u64(out, hist_quantile_us(&r->hist, 0.95));
	rows_u64(out, hist_quantile_us(&r->hist, 0.99));
	rows_u64(out, r->max_us);
	rows_text(out, wait_hint((enum wait_cause)r->cause));
	rows_end(out);
	return pos + 1;
}

/* --- MISUSE --- */

static const struct reply_column misuse_columns[] = {
	{"database", T},
	{"user", T},
	{"application_name", T},
	{"kind", T},
	{"now", I8},
	{"times", I8},
	{"total_time", I8},
	{"longest", I8},
	{"last_seen", T},
	{"client", I8},
	{"addr", T},
	{"fingerprint", T},
	{"statement", T},
	{"hint", T},
};

static const char *misuse_kind_text(const struct show_misuse_row *r, char buf[64])
{
	if (r->kind == MISUSE_IDLE_IN_TRANSACTION)
		return "idle_in_transaction";
	if (r->kind == MISUSE_LONG_TRANSACTION)
		return "long_transaction";
	snprintf(buf, 64, "pin_%s", pin_cause_name((enum pin_cause)r->detail));
	return buf;
}

static const char *misuse_hint(const struct show_misuse_row *r)
{
	if (r->kind == MISUSE_IDLE_IN_TRANSACTION)
		return "After this statement it did nothing for long inside its transaction, and "
		       "kept a "
		       "server: commit before other work; idle_transaction_timeout ends such.";
	if (r->kind == MISUSE_LONG_TRANSACTION)
		return "A transaction with this as its last statement took long: make it smaller; "
		       "transaction_timeout ends such.";
	switch ((enum pin_cause)r->detail) {
	case PIN_TEMP:
		return "Temporary tables: create and drop them in one transaction (ON COMMIT "
		       "DROP).";
	case PIN_ADVISORY_LOCK:
		return "Session-level advisory locks: pg_advisory_xact_lock needs no pin.";
	case PIN_WITH_HOLD:
		return "Cursors WITH HOLD: read them inside the transaction.";
	default:
		return "What it has done cannot follow it to another server: see SHOW PINS.";
	}
}

static size_t misuse_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct show_misuse_row *r;
	char fingerprint[17] = "", buf[64];

	if (pos >= in->gathered->n_misuse)
		return SIZE_MAX;
	r = in->gathered->misuse[pos];
	if (r->fingerprint != 0)
		snprintf(fingerprint, sizeof fingerprint, "%016llx",
			(unsigned long long)r->fingerprint);
	rows_begin(out);
	rows_text(out, r->database);
	rows_text(out, r->user);
	rows_text(out, r->application_name);
	rows_text(out, misuse_kind_text(r, buf));
	rows_u64(out, r->now);
	rows_u64(out, r->n);
	rows_u64(out, r->us);
	rows_u64(out, r->longest_us);
	rows_time(out, r->seen_wall_us);
	rows_u64(out, r->client);
	rows_text(out, r->addr);
	rows_text(out, fingerprint);
	rows_text(out, r->text);
	rows_text(out, misuse_hint(r));
	rows_end(out);
	return pos + 1;
}

/* --- PIN_COUNTS --- */

static const struct reply_column pin_counts_columns[] = {
	{"cause", T},
	{"now", I8},
	{"total", I8},
};

static size_t pin_counts_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct pin_counts *n = &in->env->shared->pins;

	if (pos >= PIN_CAUSE_COUNT)
		return SIZE_MAX;
	rows_begin(out);
	rows_text(out, pin_cause_name((enum pin_cause)pos));
	rows_u64(out, atomic_load_explicit(&n->now[pos], memory_order_relaxed));
	rows_u64(out, atomic_load_explicit(&n->total[pos], memory_order_relaxed));
	rows_end(out);
	return pos + 1;
}

/* --- HEADROOM --- */

static const struct reply_column headroom_columns[] = {
	{"resource", T},
	{"database", T},
	{"user", T},
	{"node", T},
	{"limit", I8},
	{"used", T},
	{"peak", T},
	{"utilisation", T},
	{"assignments_per_s", T},
	{"held_us", I8},
	{"wait_p50", I8},
	{"wait_p95", I8},
	{"wait_p99", I8},
	{"size_for_goal", I8},
	{"growth_per_hour", T},
	{"full_in_s", I8},
	{"advice", T},
};

static void put_number(struct rows *out, double v, const char *unit)
{
	char buf[40];

	snprintf(buf, sizeof buf, "%.*f%s", v < 10 && v > -10 ? 2 : 0, v, unit);
	rows_text(out, buf);
}

static const char *span(double s, char buf[32])
{
	if (s < 120)
		snprintf(buf, 32, "%.0f seconds", s);
	else if (s < 7200)
		snprintf(buf, 32, "%.0f minutes", s / 60);
	else if (s < 172800)
		snprintf(buf, 32, "%.0f hours", s / 3600);
	else
		snprintf(buf, 32, "%.0f days", s / 86400);
	return buf;
}

static const char *what_to_do(const struct headroom_row *r)
{
	switch (r->of) {
	case HEADROOM_POOL:
		return "raise pool_size, or hold servers for shorter";
	case HEADROOM_WORKERS:
		return "raise workers, or run a second pgweir";
	case HEADROOM_CLIENTS:
		return "raise max_client_conn";
	}
	return "";
}

static void advise_pool(
	const struct show_in *in, const struct headroom_row *r, char *buf, size_t cap)
{
	char goal[VALUE_TEXT_MAX];

	value_format_time_unit(env_conf(in->env)->wait_goal_us, goal);
	if (r->used >= 0.98 * r->limit)
		snprintf(buf, cap,
			"Full: clients wait. Raise pool_size above %u, step by step, or hold "
			"servers for "
			"shorter than %.1f ms.",
			r->limit, r->service_us / 1000);
	else if (r->size_for_goal > r->limit)
		snprintf(buf, cap,
			"Too small at times: with pool_size %u, 95 %% of waits would be within %s.",
			r->size_for_goal, goal);
	else
		snprintf(buf, cap,
			"Enough: pool_size %u would do to keep 95 %% of waits within %s.",
			r->size_for_goal, goal);
}

static void advise(
	const struct show_in *in, const struct headroom_row *r, bool first, char *buf, size_t cap)
{
	char when[32];

	if (!r->enough) {
		snprintf(buf, cap, "Too early to tell: ask again in a minute.");
	} else if (r->full_in_s > 0 && r->full_in_s < 30 * 86400.0) {
		snprintf(buf, cap, "%sAt the present growth it is full in %s: %s.",
			first ? "Saturates first. " : "", span(r->full_in_s, when), what_to_do(r));
	} else if (r->of == HEADROOM_POOL) {
		size_t n = (size_t)snprintf(buf, cap, "%s",
			first && r->used >= r->limit / 2.0 ? "Saturates first. " : "");

		advise_pool(in, r, buf + n, cap - n);
	} else if (r->used >= 0.8 * r->limit) {
		snprintf(buf, cap, "%sNearly full: %s.", first ? "Saturates first. " : "",
			what_to_do(r));
	} else {
		snprintf(buf, cap, "Enough.");
	}
}

static size_t headroom_row(const struct show_in *in, size_t pos, struct rows *out)
{
	const struct headroom_row *r;
	char advice[256];

	if (in->history == NULL || pos >= history_n_headroom(in->history))
		return SIZE_MAX;
	r = history_headroom(in->history, (uint32_t)pos);
	advise(in, r, pos == 0, advice, sizeof advice);
	rows_begin(out);
	rows_text(out, r->of == HEADROOM_POOL      ? "pool"
		       : r->of == HEADROOM_WORKERS ? "workers"
						   : "clients");
	rows_text(out, r->database);
	rows_text(out, r->user);
	rows_text(out, r->node >= 0 ? show_node_name(in->env, r->node) : NULL);
	rows_u64(out, r->limit);
	put_number(out, r->used, "");
	put_number(out, r->peak, "");
	put_number(out, 100 * r->used / r->limit, " %");
	put_number(out, r->rate, "");
	rows_u64(out, (uint64_t)r->service_us);
	rows_u64(out, r->wait_p50_us);
	rows_u64(out, r->wait_p95_us);
	rows_u64(out, r->wait_p99_us);
	rows_u64(out, r->of == HEADROOM_POOL && r->enough ? r->size_for_goal : r->limit);
	put_number(out, r->growth_per_hour, "");
	rows_i64(out, r->full_in_s < 0 || r->full_in_s > 1e9 ? -1 : (int64_t)r->full_in_s);
	rows_text(out, advice);
	rows_end(out);
	return pos + 1;
}

const struct show_table show_waits = {
	"waits", SHOW_COLUMNS(waits_columns), GATHER_WAITS, SHOW_NO_STREAM, NULL, waits_row, false};
const struct show_table show_misuse = {"misuse", SHOW_COLUMNS(misuse_columns), GATHER_MISUSE,
	SHOW_NO_STREAM, NULL, misuse_row, false};
const struct show_table show_headroom = {
	"headroom", SHOW_COLUMNS(headroom_columns), 0, SHOW_NO_STREAM, NULL, headroom_row, false};
const struct show_table show_pin_counts = {"pin_counts", SHOW_COLUMNS(pin_counts_columns), 0,
	SHOW_NO_STREAM, NULL, pin_counts_row, false};
