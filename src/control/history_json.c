#include "control/page.h"

#include <stdio.h>

#include "control/history.h"

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

/* A sample that comes meanwhile moves all by one: the first then is told twice, or one is left out.
 */
bool history_write(struct page *p, struct wr *w)
{
	const struct history *h = p->in.history;
	uint32_t n = h != NULL ? history_n(h) : 0;

	if (h != NULL && p->pos == 0)
		put_head(h, w);
	else if (p->pos == 0)
		wr_str(w, "{\"columns\":[],\"samples\":[");
	for (unsigned i = 0; i < PAGE_ROWS_STEP && p->pos < n; i++, p->pos++) {
		if (p->pos != 0)
			wr_str(w, ",\n");
		put_sample(history_at(h, (uint32_t)p->pos), w);
	}
	if (p->pos < n)
		return true;
	wr_str(w, "]}\n");
	return false;
}
