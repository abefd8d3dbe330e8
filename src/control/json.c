#include "control/page.h"
#include "control/queries.h"

/* The tables of /stats.json: all that need nothing but what is gathered. */
static const struct show_table *const tables[] = {
	&show_version,
	&show_state,
	&show_lists,
	&show_databases,
	&show_users,
	&show_pools,
	&show_node_pools,
	&show_nodes,
	&show_stats,
	&show_totals,
	&show_routes,
	&show_transaction_reads,
	&show_errors,
	&show_logins,
	&show_queries,
	&show_nplusone,
	&show_waits,
	&show_misuse,
	&show_headroom,
	&show_pin_counts,
	&show_workers,
	&show_mem,
	&show_off,
};

#define N_TABLES (sizeof tables / sizeof *tables)

static void begin_table(struct page *p, struct wr *w)
{
	wr_str(w, p->part == 0 ? "{\n\t" : ",\n\t");
	rows_json_string(w, tables[p->part]->name);
	wr_str(w, ": [");
}

static void end_table(struct page *p, struct wr *w)
{
	wr_str(w, p->n != 0 ? "\n\t]" : "]");
	p->part++;
	p->pos = 0;
	p->n = 0;
	if (p->part == N_TABLES)
		wr_str(w, "\n}\n");
}

static void write_row(struct page *p, struct wr *w)
{
	const struct show_table *t = tables[p->part];
	struct rows rows = rows_of(w, ROWS_JSON, t->columns, t->n_columns);
	size_t next;

	if (p->pos == 0)
		begin_table(p, w);
	rows.n = p->n;
	next = t->row(&p->in, p->pos, &rows);
	p->n = rows.n;
	p->pos = next;
	if (next == SIZE_MAX)
		end_table(p, w);
}

bool json_write(struct page *p, struct wr *w)
{
	for (unsigned i = 0; i < PAGE_ROWS_STEP && p->part < N_TABLES; i++) {
		struct page before = *p;
		size_t len = w->len;

		write_row(p, w);
		if (!w->bad)
			continue;
		PANIC_IF(len == 0); /* every row fits an empty buffer */
		*p = before;
		w->bad = false;
		w->len = len;
		break;
	}
	return p->part < N_TABLES;
}
