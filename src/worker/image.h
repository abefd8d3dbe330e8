/*
 * image - an idle client, or an idle server connection, as bytes, so that another process can go on
 * with it: who it is, what it has set and prepared, its cancel key, what a client has sent that
 * nobody has looked at yet. The socket travels beside it (control/takeover_wire.h). Owns: nothing.
 * Bounds: IMAGE_LEN_MAX bytes; a client that takes more stays where it is.
 * Bytes are those of one host and one build: IMAGE_FORMAT and the size of what is copied raw have
 * to be equal (image_format), and monotonic times are the host's. What is read is checked all the
 * same: lengths, counts, times that lie ahead, statements that are none.
 */
#ifndef PGWEIR_WORKER_IMAGE_H
#define PGWEIR_WORKER_IMAGE_H

#include "base/rd.h"
#include "base/wr.h"
#include "net/addr.h"
#include "worker/client.h"
#include "worker/server.h"

#define IMAGE_LEN_MAX 131072u /* bytes; a record of a SOCK_SEQPACKET socket holds them */
#define IMAGE_FORMAT  4u

/* What both processes must agree on. */
uint32_t image_format(void);

/* Is there nothing about the client that its image could not tell? */
bool image_can_tell(const struct client *c);

/* Put all but what is unread in its socket; out->bad: it takes too much. */
void image_put(const struct client *c, struct wr *out);

/* What is known before the client is there. `user` and `database` are borrowed from the image. */
struct image_head {
	const char *user, *database;
	uint32_t number;      /* of its BackendKeyData */
	struct net_addr from; /* a proxy may have told it; len 0: a unix socket */
};
/* Errors: E_PROTO. Advances `in` behind it. */
enum status image_read_head(struct rd *in, struct image_head *out) MUST_USE;

/*
 * The rest, for a client that is new in every respect and has entered its account. What is left
 * in `in` is what it has sent. Errors: E_PROTO, E_NOMEM, E_LIMIT: the client is to be closed.
 */
enum status image_read_client(struct worker *w, struct client *c, struct rd *in) MUST_USE;

/* The same for a server connection that is idle; its pool is told beside it. */
bool image_can_tell_server(const struct server *s);
void image_put_server(const struct server *s, struct wr *out);
/* Into one that is new and in its pool. Errors: as image_read_client; it is of no use then. */
enum status image_read_server(struct worker *w, struct server *s, struct rd *in) MUST_USE;

#endif
