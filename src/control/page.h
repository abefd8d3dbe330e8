/*
 * page - the two documents of the stats port that are made from gathered rows, in bounded steps:
 * /metrics (Prometheus text) and /stats.json.
 * Owns: nothing; a struct page is a place in the document.
 */
#ifndef PGWEIR_CONTROL_PAGE_H
#define PGWEIR_CONTROL_PAGE_H

#include "control/show.h"

#define PAGE_ROWS_STEP 256u /* rows, or samples, at a time */

enum {
	PAGE_GATHER = GATHER_POOLS | GATHER_STATS | GATHER_ROUTES | GATHER_ERRORS | GATHER_WORKERS |
		      GATHER_QUERIES | GATHER_WAITS | GATHER_MISUSE,
};

struct page {
	struct show_in in; /* with `gathered` */
	size_t part;       /* table or family */
	size_t pos;        /* in it */
	uint64_t n;        /* rows of this part so far */
};

/*
 * Append the next part to `w`, which has ROWS_BUF_MIN bytes or more and is empty. Returns false
 * if this was the end.
 */
bool metrics_write(struct page *p, struct wr *w);
bool json_write(struct page *p, struct wr *w);
bool history_write(struct page *p, struct wr *w); /* /history.json */

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
