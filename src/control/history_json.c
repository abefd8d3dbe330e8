#include "control/page.h"

#include <stdio.h>

#include "control/history.h"

#define SAMPLES_STEP 128u /* at a time: half of what is there to write to */

static void put_head(const struct history *h, struct wr *w)
{
	char text[64];

	snprintf(text, sizeof text, "{\"period_s\":%g,\"at_ms\":%llu,\"columns\":[",
		history_every_s(h), (unsigned long long)(history_wall_us(h) / 1000u));
	wr_str(w, text);
	for (unsigned c = 0; c < HISTORY_COLUMNS; c++) {
		if (c != 0)
			wr_u8(w, ',');
		rows_json_string(w, history_column_name((enum history_column)c));
	}
	wr_str(w, "],\"samples\":[");
}

static void put_sample(const float *sample, struct wr *w)
{
	char text[32];

	for (unsigned c = 0; c < HISTORY_COLUMNS; c++) {
		snprintf(text, sizeof text, "%c%.6g", c == 0 ? '[' : ',', (double)sample[c]);
		wr_str(w, text);
	}
	wr_u8(w, ']');
}

/* Up to how long each bucket is, and how many of each were in it. */
static void put_hists(const struct history *h, struct wr *w)
{
	static const char *const names[] = {"queries", "waits"};
	char text[32];

	wr_str(w, ",\"histograms\":{\"up_to_us\":[");
	for (unsigned i = 0; i < GATHER_BUCKETS; i++) {
		snprintf(text, sizeof text, "%s%llu", i == 0 ? "" : ",",
			(unsigned long long)gather_bucket_us(i));
		wr_str(w, text);
	}
	wr_u8(w, ']');
	for (unsigned k = 0; k < HISTORY_HISTS; k++) {
		wr_str(w, ",\"");
		wr_str(w, names[k]);
		wr_str(w, "\":");
		for (unsigned i = 0; i < GATHER_BUCKETS; i++) {
			snprintf(text, sizeof text, "%c%llu", i == 0 ? '[' : ',',
				(unsigned long long)history_bucket(h, (enum history_hist)k, i));
			wr_str(w, text);
		}
		wr_u8(w, ']');
	}
	wr_u8(w, '}');
}

/* A sample that comes meanwhile moves all by one: the first then is told twice, or one is left out.
 */
bool history_write(struct page *p, struct wr *w)
{
	const struct history *h = p->in.history;
	uint32_t n;

	if (h != NULL && !env_conf(p->in.env)->history)
		h = NULL;
	n = h != NULL ? history_n(h) : 0;

	if (h != NULL && p->pos == 0)
		put_head(h, w);
	else if (p->pos == 0)
		wr_str(w, "{\"columns\":[],\"samples\":[");
	for (unsigned i = 0; i < SAMPLES_STEP && p->pos < n; i++, p->pos++) {
		if (p->pos != 0)
			wr_str(w, ",\n");
		put_sample(history_at(h, (uint32_t)p->pos), w);
	}
	if (p->pos < n)
		return true;
	wr_u8(w, ']');
	if (h != NULL)
		put_hists(h, w);
	wr_str(w, "}\n");
	return false;
}
