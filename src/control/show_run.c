#include "control/show_run.h"

#include <stdlib.h>

static void fail(struct show_run *run, enum status st)
{
	run->state = SHOW_RUN_FAILED;
	run->failed = st;
}

/* The next piece of the streams, or on to our own rows. */
static void ask_next(struct show_run *run)
{
	while (run->stream < SHOW_STREAMS_MAX && run->table->streams[run->stream] >= 0) {
		if (collect_next(&run->collect)) {
			run->state = SHOW_RUN_ASKING;
			return;
		}
		run->stream++;
		if (run->stream < SHOW_STREAMS_MAX && run->table->streams[run->stream] >= 0)
			collect_start(
				&run->collect, (enum show_what)run->table->streams[run->stream]);
	}
	run->state = SHOW_RUN_OWN;
}

static void begin_streams(struct show_run *run)
{
	if (run->table->streams[0] >= 0)
		collect_start(&run->collect, (enum show_what)run->table->streams[0]);
	ask_next(run);
}

static void on_gathered(struct gather_request *r, struct gathered *g, enum status st)
{
	struct show_run *run = list_entry(r, struct show_run, request);

	run->gathered = g;
	if (g == NULL)
		fail(run, st);
	else
		begin_streams(run);
	if (run->state != SHOW_RUN_ASKING)
		run->on_more(run);
}

static void on_piece(struct collect_run *c, struct ask_rows *rows)
{
	struct show_run *run = list_entry(c, struct show_run, collect);

	if (rows == NULL) {
		fail(run, E_AGAIN);
	} else {
		run->piece = rows;
		run->piece_at = 0;
		run->state = SHOW_RUN_WRITING;
	}
	run->on_more(run);
}

void show_run_init(
	struct show_run *run, const struct show_tools *tools, void (*on_more)(struct show_run *run))
{
	*run = (struct show_run){.tools = tools, .state = SHOW_RUN_ENDED, .on_more = on_more};
	run->request.done = on_gathered;
	list_init(&run->request.link);
	collect_init(&run->collect, tools->collector, on_piece);
}

void show_run_start(struct show_run *run, const struct show_table *table)
{
	show_run_end(run);
	run->table = table;
	run->stream = 0;
	run->pos = 0;
	if (table->gather != 0) {
		run->state = SHOW_RUN_GATHERING;
		gather_ask(run->tools->gather, &run->request, table->gather);
	} else {
		begin_streams(run);
	}
}

void show_run_end(struct show_run *run)
{
	gather_cancel(&run->request);
	collect_cancel(&run->collect);
	gathered_release(run->tools->gather, run->gathered);
	run->gathered = NULL;
	free(run->piece);
	run->piece = NULL;
	run->state = SHOW_RUN_ENDED;
}

/* One row of what is at hand, maybe none. */
static void write_one(struct show_run *run, struct rows *out)
{
	struct show_in in = run->tools->in;

	in.gathered = run->gathered;
	in.plan = run->plan;
	if (run->state == SHOW_RUN_WRITING) {
		run->table->stream_row(&in, run->piece, run->piece_at, out);
		if (!out->w->bad)
			run->piece_at++;
	} else {
		size_t next =
			run->table->row != NULL ? run->table->row(&in, run->pos, out) : SIZE_MAX;

		if (out->w->bad)
			return;
		run->pos = next;
		if (next == SIZE_MAX)
			run->state = SHOW_RUN_ENDED;
	}
}

/* Returns false if the row did not fit; nothing of it is left in the buffer then. */
static bool try_one(struct show_run *run, struct rows *out)
{
	size_t len = out->w->len;
	uint64_t n = out->n;

	write_one(run, out);
	if (!out->w->bad)
		return true;
	PANIC_IF(len == 0); /* every row fits an empty buffer */
	out->w->bad = false;
	out->w->len = len;
	out->n = n;
	return false;
}

static void next_piece(struct show_run *run)
{
	if (run->state != SHOW_RUN_WRITING || run->piece_at < run->piece->n)
		return;
	free(run->piece);
	run->piece = NULL;
	ask_next(run);
}

enum show_step show_run_write(struct show_run *run, struct rows *out, uint64_t rows_max)
{
	uint64_t end = out->n + rows_max;

	for (;;) {
		next_piece(run);
		switch (run->state) {
		case SHOW_RUN_GATHERING:
		case SHOW_RUN_ASKING:
			return SHOW_STEP_WAIT;
		case SHOW_RUN_ENDED:
			return SHOW_STEP_END;
		case SHOW_RUN_FAILED:
			return SHOW_STEP_FAILED;
		case SHOW_RUN_WRITING:
		case SHOW_RUN_OWN:
			break;
		}
		if (out->n >= end || !try_one(run, out))
			return SHOW_STEP_FULL;
	}
}
