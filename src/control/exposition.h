/*
 * exposition - writes samples in Prometheus' text format.
 * Owns:   nothing.
 * Source: Prometheus documentation, "Exposition formats".
 */
#ifndef PGWEIR_CONTROL_EXPOSITION_H
#define PGWEIR_CONTROL_EXPOSITION_H

#include "base/wr.h"
#include "control/gather.h"

#define EXPOSITION_LABELS_MAX 6u

struct label {
	const char *name, *value;
};

struct labels {
	unsigned n;
	struct label at[EXPOSITION_LABELS_MAX];
};

static inline void labels_add(struct labels *l, const char *name, const char *value)
{
	PANIC_IF(l->n == EXPOSITION_LABELS_MAX);
	l->at[l->n++] = (struct label){name, value};
}

void exposition_head(struct wr *w, const char *name, const char *type, const char *help);
void exposition_u64(struct wr *w, const char *name, const struct labels *l, uint64_t v);
void exposition_seconds(struct wr *w, const char *name, const struct labels *l, uint64_t us);
/* A histogram of seconds; uses one more label, `le`. */
void exposition_hist(
	struct wr *w, const char *name, const struct labels *l, const struct gather_hist *h);

#endif
