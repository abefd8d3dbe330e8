#include "route/marks.h"

void marks_init(struct marks *m)
{
	*m = (struct marks){.read_node = TOPO_NONE};
}

static void reopen(struct mark *k)
{
	if (k->state == MARK_CLOSED)
		k->state = MARK_OPEN;
}

/*
 * Positions of another system, or of another cluster before a reload, mean nothing here; that a
 * sample begun later covers what was done before it does.
 */
static void marks_bind(struct marks *m, const struct topo_cluster *c)
{
	if (m->identity == c->identity)
		return;
	reopen(&m->write);
	reopen(&m->read);
	m->read_node = TOPO_NONE;
	m->identity = c->identity;
}

void marks_arrive_anew(struct marks *m, uint64_t number)
{
	marks_init(m);
	m->write = mark_at(number);
}

void marks_write(struct marks *m, const struct topo_cluster *c, uint64_t number)
{
	marks_bind(m, c);
	m->write = mark_at(number);
}

void marks_read(struct marks *m, const struct topo_cluster *c, uint16_t node, uint32_t epoch,
	uint64_t number)
{
	marks_bind(m, c);
	m->read = mark_at(number);
	m->read_node = node;
	m->read_epoch = epoch;
}

static void close_at(struct mark *k, const struct wal_point *at)
{
	k->timeline = at->timeline;
	k->lsn = at->lsn;
	k->state = MARK_CLOSED;
}

/* The first sample begun after the mark was set tells most narrowly what it stands for. */
void mark_settle(struct mark *k, const struct topo_cluster *c)
{
	if (k->state != MARK_OPEN)
		return;
	for (uint32_t i = 0; i < c->n_samples && c->samples[i].number > k->number; i++)
		close_at(k, &c->samples[i].at);
}

const struct mark *mark_of_all(
	struct mark_of_all *m, const struct mark_board *b, const struct topo_cluster *c)
{
	uint64_t wrote = atomic_load(&b->wrote);

	if (wrote == 0) {
		m->mark = (struct mark){.state = MARK_NONE};
	} else if (m->mark.state == MARK_NONE || m->mark.number != wrote - 1 ||
		   m->identity != c->identity) {
		m->mark = mark_at(wrote - 1);
		m->identity = c->identity;
	}
	mark_settle(&m->mark, c);
	return &m->mark;
}

/* A replica cannot have shown what the primary had not flushed yet. */
static void read_settle(struct mark *k, const struct topo_cluster *c)
{
	uint64_t number = k->number;

	if (k->state != MARK_OPEN)
		return;
	mark_settle(k, c);
	for (uint32_t i = 0; i < c->n_samples && c->samples[i].number > number; i++)
		if (c->samples[i].flushed.lsn != 0)
			close_at(k, &c->samples[i].flushed);
}

void marks_settle_open(struct marks *m, const struct topo_cluster *c)
{
	marks_bind(m, c);
	mark_settle(&m->write, c);
	read_settle(&m->read, c);
}
