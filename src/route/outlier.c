#include "route/outlier.h"

#include "base/status.h"

static void take_round(struct outlier *o, const struct outlier_counts *c)
{
	if (c->failures != 0) {
		o->fails += c->failures;
		o->oks += c->units;
	} else if (c->units != 0) {
		o->fails = o->oks = 0;
	}
	o->n_units = o->n_units / 2 + c->units;
	o->log_sum = o->log_sum / 2 + c->log_sum;
}

static void forget_counts(struct outlier *o)
{
	o->fails = o->oks = o->slow_rounds = 0;
	o->n_units = o->log_sum = 0;
}

static uint64_t typical(const struct outlier *o)
{
	return o->log_sum / o->n_units;
}

/* The lower median of the others' typical times; false: none is known. */
static bool median_of_others(uint32_t n, struct outlier *const *nodes,
	const struct outlier_counts *counts, uint32_t self, uint64_t *out)
{
	uint64_t of[OUTLIER_NODES_MAX];
	uint32_t k = 0, at;

	for (uint32_t i = 0; i < n; i++) {
		if (i == self || !counts[i].usable || nodes[i]->until_us != 0 ||
			nodes[i]->n_units < OUTLIER_UNITS_MIN)
			continue;
		for (at = k++; at > 0 && of[at - 1] > typical(nodes[i]); at--)
			of[at] = of[at - 1];
		of[at] = typical(nodes[i]);
	}
	if (k == 0)
		return false;
	*out = of[(k - 1) / 2];
	return true;
}

static bool is_slow(const struct outlier_conf *conf, uint32_t n, struct outlier *const *nodes,
	const struct outlier_counts *counts, uint32_t i)
{
	uint64_t others;

	if (conf->latency == 0 || nodes[i]->n_units < OUTLIER_UNITS_MIN)
		return false;
	if (typical(nodes[i]) < outlier_log(OUTLIER_SLOW_US))
		return false;
	return median_of_others(n, nodes, counts, i, &others) &&
	       typical(nodes[i]) >= others + outlier_log(conf->latency);
}

static enum outlier_event judge_node(const struct outlier_conf *conf, uint32_t n,
	struct outlier *const *nodes, const struct outlier_counts *counts, uint32_t i)
{
	struct outlier *o = nodes[i];

	if (conf->errors != 0 && o->fails >= conf->errors && o->fails >= o->oks)
		return OUTLIER_ERRORS;
	o->slow_rounds = is_slow(conf, n, nodes, counts, i) ? o->slow_rounds + 1 : 0;
	return o->slow_rounds >= OUTLIER_ROUNDS ? OUTLIER_LATENCY : OUTLIER_NONE;
}

static void eject(const struct outlier_conf *conf, struct outlier *o, uint64_t now_us)
{
	uint64_t time_us = conf->time_us;

	for (uint32_t i = 0; i < o->level && time_us < conf->time_max_us; i++)
		time_us *= 2;
	if (time_us > conf->time_max_us)
		time_us = conf->time_max_us;
	o->level++;
	o->since_us = now_us;
	o->until_us = now_us + time_us;
	forget_counts(o);
}

/* Its time is over, or it is another server now. */
static bool is_back(const struct outlier_conf *conf, const struct outlier *o,
	const struct outlier_counts *c, uint64_t now_us)
{
	if (o->until_us == 0)
		return false;
	return now_us >= o->until_us || c->came_back_us > o->since_us ||
	       (conf->errors == 0 && conf->latency == 0);
}

void outlier_judge(const struct outlier_conf *conf, uint32_t n, struct outlier *const *nodes,
	const struct outlier_counts *counts, uint64_t now_us, enum outlier_event *events)
{
	uint32_t n_usable = 0, n_in = 0;

	PANIC_IF(n == 0 || n > OUTLIER_NODES_MAX);
	for (uint32_t i = 0; i < n; i++) {
		struct outlier *o = nodes[i];

		events[i] = OUTLIER_NONE;
		if (is_back(conf, o, &counts[i], now_us)) {
			events[i] = OUTLIER_BACK;
			o->until_us = 0;
			o->back_us = now_us;
		}
		if (o->until_us == 0 && o->level != 0 && now_us - o->back_us >= conf->time_max_us)
			o->level = 0;
		if (counts[i].usable && o->until_us == 0)
			take_round(o, &counts[i]);
		else
			forget_counts(o);
		n_usable += counts[i].usable;
		n_in += counts[i].usable && o->until_us == 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		enum outlier_event e;

		if (!counts[i].usable || nodes[i]->until_us != 0)
			continue;
		e = judge_node(conf, n, nodes, counts, i);
		if (e == OUTLIER_NONE || n_in - 1 < (n_usable + 1) / 2)
			continue;
		eject(conf, nodes[i], now_us);
		events[i] = e;
		n_in--;
	}
}
