#include "control/takeover_channel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "proto/scram.h"

#define RECORDS_A_TURN 64u
#define LAST_S         5 /* for what is still to be sent when the process ends */

struct record {
	struct list link;
	int fd; /* owned; -1: none */
	size_t len;
	uint8_t bytes[];
};

static void on_channel(void *arg, int what);

static void record_free(struct record *r)
{
	list_del(&r->link);
	if (r->fd >= 0)
		close(r->fd);
	scram_wipe(r->bytes, r->len);
	free(r);
}

void channel_init(struct channel *c, struct env *env, void *arg,
	void (*on_record)(void *arg, struct rd *in, int *fd), void (*on_end)(void *arg))
{
	*c = (struct channel){
		.env = env, .sock = -1, .on_record = on_record, .on_end = on_end, .arg = arg};
	list_init(&c->out);
}

static void drop_unsent(struct channel *c)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &c->out)
		record_free(list_entry(it, struct record, link));
}

void channel_close(struct channel *c)
{
	loop_unwatch(c->watch);
	c->watch = NULL;
	if (c->sock >= 0)
		close(c->sock);
	c->sock = -1;
	drop_unsent(c);
}

static enum status channel_watch(struct channel *c)
{
	bool write = !list_is_empty(&c->out);

	if (c->watch != NULL && write == c->wants_write)
		return OK;
	loop_unwatch(c->watch);
	c->watch = NULL;
	c->wants_write = write;
	return loop_watch(c->env->loop, c->sock, LOOP_READ | (write ? LOOP_WRITE : 0), on_channel,
		c, &c->watch);
}

enum status channel_open(struct channel *c, int sock)
{
	int flags = fcntl(sock, F_GETFL);

	c->sock = sock;
	if (flags < 0 || fcntl(sock, F_SETFL, flags | O_NONBLOCK) < 0)
		return E_IO;
	return channel_watch(c);
}

/* Send now or later. `fd` is moved, -1: none. */
void channel_send(struct channel *c, const void *p, size_t len, int fd)
{
	struct record *r;

	if (c->sock < 0 || (list_is_empty(&c->out) && takeover_send(c->sock, p, len, fd) == OK)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	r = malloc(sizeof *r + len);
	if (r == NULL) {
		log_error(
			c->env->shared->log, "something is lost in the take-over", "reason=memory");
		if (fd >= 0)
			close(fd);
		return;
	}
	r->fd = fd;
	r->len = len;
	memcpy(r->bytes, p, len);
	list_push_back(&c->out, &r->link);
	(void)!channel_watch(c);
}

void channel_put(struct channel *c, const struct wr *w)
{
	if (!w->bad)
		channel_send(c, w->buf, w->len, -1);
}

/* To one that has ended nothing is sent, but what he has sent before that is read to its end. */
static enum status channel_flush(struct channel *c)
{
	while (!list_is_empty(&c->out)) {
		struct record *r = list_entry(c->out.next, struct record, link);
		enum status st = takeover_send(c->sock, r->bytes, r->len, r->fd);

		if (st == E_AGAIN)
			return OK;
		if (st == E_CLOSED)
			drop_unsent(c);
		else if (st != OK)
			return st;
		else
			record_free(r);
	}
	return channel_watch(c);
}

/* The end of this process: what waits is still sent, for LAST_S at most. */
void channel_drain(struct channel *c)
{
	const struct timeval limit = {.tv_sec = LAST_S};
	int flags = fcntl(c->sock, F_GETFL);

	if (flags < 0 || fcntl(c->sock, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
		setsockopt(c->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return;
	while (!list_is_empty(&c->out)) {
		struct record *r = list_entry(c->out.next, struct record, link);

		if (takeover_send(c->sock, r->bytes, r->len, r->fd) != OK)
			return;
		record_free(r);
	}
}

static enum status channel_read(struct channel *c, uint8_t buf[TAKEOVER_RECORD_MAX])
{
	enum status st = OK;

	for (unsigned i = 0; i < RECORDS_A_TURN && c->sock >= 0; i++) {
		struct rd in;
		size_t len;
		int fd;

		st = takeover_receive(c->sock, buf, &len, &fd);
		if (st != OK)
			return st == E_AGAIN ? OK : st;
		in = rd_of(buf, len);
		c->on_record(c->arg, &in, &fd);
		scram_wipe(buf, len);
		if (fd >= 0)
			close(fd);
	}
	return OK;
}

static void on_channel(void *arg, int what)
{
	struct channel *c = arg;
	enum status st = (what & LOOP_WRITE) != 0 ? channel_flush(c) : OK;
	uint8_t buf[TAKEOVER_RECORD_MAX];

	if (st == OK && (what & LOOP_READ) != 0)
		st = channel_read(c, buf);
	if (st != OK)
		c->on_end(c->arg);
}
