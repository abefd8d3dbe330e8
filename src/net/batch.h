/*
 * batch - the small sends of one turn of an epoll loop, done with one system call (ADR 0036).
 * Owns:   the kernel's context for it, and copies of the bytes; conns are borrowed until they are
 *         sent: who frees one, or takes it off the loop, calls batch_send before.
 * Bounds: BATCH_CONNS conns, BATCH_LEN bytes.
 *
 * Who is woken by a send has waited, so the scheduler lets it run first; if that is on our CPU, we
 * are put aside when the system call returns: a change of processes for each send. What goes with
 * one call has woken all its receivers before one of them runs.
 *
 * The call is io_submit(2) of the asynchronous I/O that is older than io_uring, and allowed in
 * containers that forbid that one. It does what it is asked before it returns, for a socket that
 * does not block. Its answers are read in memory that the kernel shares.
 */
#ifndef PGWEIR_NET_BATCH_H
#define PGWEIR_NET_BATCH_H

#include <sys/uio.h>

#include "base/status.h"

#define BATCH_CONNS    64u    /* as many are taken of fs.aio-max-nr, by each loop */
#define BATCH_LEN      65536u /* bytes */
#define BATCH_SEND_MAX 8192u  /* bytes of one send; more is not worth to be copied */

struct batch;
struct conn;

/*
 * NULL: the system does not offer it, or there is no memory: each conn sends for itself. *why: the
 * reason, static; NULL if there is a batch.
 */
struct batch *batch_new(const char **why);
void batch_free(struct batch *b); /* NULL allowed; nothing may be in it */

/*
 * Whether `len` bytes for this conn, which come after those it has in it, fit. False: batch_send
 * makes room, unless len is above BATCH_SEND_MAX.
 */
bool batch_has_room(const struct batch *b, const struct conn *c, size_t len);
/* Copy them (len bytes in all). Requires: there is room; the conn is not `blocked`. */
void batch_add(
	struct batch *b, struct conn *c, const struct iovec *iov, unsigned n_iov, size_t len);

/*
 * Send all that is there; conn_tx_tried tells each conn. No owner is called back. What the kernel
 * does not begin (it lacks memory, say) is sent one by one. SIGPIPE is to be ignored: this kind of
 * send has no flag for it.
 */
void batch_send(struct batch *b);

#endif
