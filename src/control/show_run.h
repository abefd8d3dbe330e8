/*
 * show_run - brings the rows of one table, in bounded steps: gathers, streams, then rows of its
 * own. The holder writes when it has room.
 * Owns:    what it has gathered and the piece at hand, until show_run_end.
 */
#ifndef PGWEIR_CONTROL_SHOW_RUN_H
#define PGWEIR_CONTROL_SHOW_RUN_H

#include "control/show.h"

/* Shared by all runs. */
struct show_tools {
	struct gather *gather;
	struct collector *collector;
	struct show_in in; /* `gathered` is each run's own */
};

enum show_step {
	SHOW_STEP_FULL, /* the buffer, or the number of rows: there is more */
	SHOW_STEP_WAIT, /* on_more will tell */
	SHOW_STEP_END,
	SHOW_STEP_FAILED, /* run->failed tells why; rows may have been written */
};

enum show_run_state {
	SHOW_RUN_GATHERING,
	SHOW_RUN_ASKING,  /* for a piece of a stream */
	SHOW_RUN_WRITING, /* a piece */
	SHOW_RUN_OWN,     /* rows of our own */
	SHOW_RUN_ENDED,
	SHOW_RUN_FAILED,
};

struct show_run {
	const struct show_tools *tools;
	const struct show_table *table;
	enum show_run_state state;
	enum status failed;
	struct gather_request request;
	struct gathered *gathered;
	const struct plan *plan; /* borrowed; NULL: none */
	struct collect_run collect;
	unsigned stream;
	struct ask_rows *piece;
	size_t piece_at;
	size_t pos;
	void (*on_more)(struct show_run *run); /* never from inside a call of this module */
};

void show_run_init(struct show_run *run, const struct show_tools *tools,
	void (*on_more)(struct show_run *run));
void show_run_start(struct show_run *run, const struct show_table *table);

/*
 * Write at most `rows_max` rows, as many as fit. out->w is cut back to whole rows; it holds at
 * least ROWS_BUF_MIN bytes when it is empty.
 */
enum show_step show_run_write(struct show_run *run, struct rows *out, uint64_t rows_max);

void show_run_end(struct show_run *run); /* at any time after init */

#endif
