/* conn_move - a conn that leaves one loop and joins another. */
#include <stdlib.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/engine.h"
#include "net/tls.h"
#include "net/uring.h"

void conn_detach(struct conn *c, void (*done)(void *arg, struct conn *c), void *arg)
{
	PANIC_IF(c->state != CONN_OPEN);
	conn_flush(c);
	conn_tx_push(c);
	loop_io_del(c);
	wheel_del(&c->loop->wheel, &c->timer);
	list_del(&c->ready);
	c->late = false;
	conn_become(c, CONN_LEAVING);
	c->detached = done;
	c->arg = arg;
	if (loop_is_uring(c->loop))
		uring_leave(c);
	else
		conn_make_ready(c);
}

void conn_left(struct conn *c)
{
	struct bufpool *bufs = &c->loop->bufs;

	if (loop_is_uring(c->loop) && !uring_left(c))
		c->pending_end = CONN_END_LIMIT;
	if (c->rx != NULL)
		bufpool_let_go(bufs, c->rx_cap);
	for (struct out_buf *b = c->out_first; b != NULL; b = b->next)
		bufpool_let_go(bufs, b->cap);
	c->loop->n_conns--;
	c->loop = NULL;
	conn_become(c, CONN_AWAY);
	c->detached(c->arg, c);
}

enum status conn_attach(struct conn *c, struct loop *l, const struct conn_ops *ops, void *arg)
{
	enum status st;

	PANIC_IF(c->state != CONN_AWAY);
	if (c->tls != NULL && (st = loop_need_wire(l)) != OK)
		return st;
	c->loop = l;
	if ((st = loop_io_add(c)) != OK) {
		c->loop = NULL;
		return st;
	}
	l->n_conns++;
	if (c->rx != NULL)
		bufpool_adopt(&l->bufs, c->rx_cap);
	for (struct out_buf *b = c->out_first; b != NULL; b = b->next)
		bufpool_adopt(&l->bufs, b->cap);
	conn_become(c, CONN_OPEN);
	c->ops = ops;
	c->arg = arg;
	c->suspect = 0;
	c->hup_told = false;
	conn_rx_resume(c);
	return OK;
}

static void free_adopted(uint8_t *buf, size_t cap)
{
	struct bufpool none;

	if (buf == NULL)
		return;
	bufpool_init(&none, 0);
	bufpool_adopt(&none, cap);
	bufpool_give(&none, buf, cap);
	bufpool_fini(&none);
}

void conn_free_detached(struct conn *c)
{
	struct out_buf *next;

	if (c == NULL)
		return;
	PANIC_IF(c->state != CONN_AWAY);
	for (struct out_buf *b = c->out_first; b != NULL; b = next) {
		next = b->next;
		free_adopted((uint8_t *)b, b->cap);
	}
	free_adopted(c->rx, c->rx_cap);
	tls_free(c->tls);
	free(c->ahead);
	free(c->named);
	close(c->fd);
	free(c);
}
