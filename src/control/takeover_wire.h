/*
 * takeover_wire - what the old and the new process of a take-over say to each other: records of one
 * SOCK_SEQPACKET socket, each a letter and its fields, at most one descriptor beside it. Also what
 * `pgweir --takeover` says to the daemon that it asks.
 * Owns:   nothing; the sockets are the caller's.
 * Bounds: TAKEOVER_RECORD_MAX bytes a record.
 */
#ifndef PGWEIR_CONTROL_TAKEOVER_WIRE_H
#define PGWEIR_CONTROL_TAKEOVER_WIRE_H

#include "base/rd.h"
#include "base/wr.h"
#include "worker/image.h"

#define TAKEOVER_RECORD_MAX (IMAGE_LEN_MAX + 1024u) /* bytes */

enum takeover_record {
	/* old to new, before the new one serves */
	TAKEOVER_HELLO = 'H',  /* struct takeover_hello */
	TAKEOVER_SOCKET = 'L', /* u8 enum takeover_socket, u8 is_passed; the socket */
	TAKEOVER_END = 'E',    /* that was all */
	/* new to old */
	TAKEOVER_READY =
		'R', /* u8 clients go: it can serve; the old one stops accepting, opening */
	TAKEOVER_GRANT = 'Y',  /* place: the old one may open a server of the pool */
	TAKEOVER_CANCEL = 'K', /* key: nobody here has it */
	TAKEOVER_MARKED = 'B', /* u64 round, database: the marker has come */
	TAKEOVER_FULL = 'U',   /* … : what has come since cannot be kept any longer */
	TAKEOVER_LEAVES = 'Q', /* it ends because it was told to: nobody serves any more */
	/* old to new, while it drains */
	TAKEOVER_PLACE = 'P',     /* place: it has a server of the pool */
	TAKEOVER_COUNTED = 'N',   /* all that it had are told: the new one accepts, and opens */
	TAKEOVER_CLIENT = 'C',    /* an image; the client's socket */
	TAKEOVER_SERVER = 'V',    /* u32 worker, place, an image; the server's socket */
	TAKEOVER_GIVE_BACK = 'G', /* place: a server of the pool is gone */
	TAKEOVER_ASK = 'O',       /* place: a client that stays needs a server */
	TAKEOVER_CHANNEL = 'F',   /* database, channel: a client of the database listens to it */
	TAKEOVER_MARK = 'M', /* u64 round, database, payload: those were all: send the marker */
	/* pgweir --takeover to the daemon, and back */
	TAKEOVER_START = 'S',   /* program, configuration: start it */
	TAKEOVER_DONE = 'D',    /* u32: the new process's pid */
	TAKEOVER_REFUSED = 'X', /* reason */
};

enum takeover_socket {
	TAKEOVER_FOR_CLIENTS,
	TAKEOVER_FOR_ADMINS,
	TAKEOVER_FOR_STATS,
	TAKEOVER_FOR_TAKEOVERS,
	TAKEOVER_SOCKETS
};

struct takeover_hello {
	uint32_t format;    /* image_format: another one, and clients are not passed on */
	uint32_t slots_max; /* of a worker: places below it are kept for clients that come */
	struct hash_key hash_key;
	uint8_t mock_secret[32];
};

void takeover_put_hello(struct wr *out, const struct takeover_hello *h);
enum status takeover_read_hello(struct rd *in, struct takeover_hello *h) MUST_USE; /* E_PROTO */

/* A pool: database, user, node by its name. */
void takeover_put_place(struct wr *out, const char *database, const char *user, const char *node);

/*
 * Send one record; fd -1: none. The descriptor stays the caller's.
 * Errors: E_AGAIN the socket is full; E_CLOSED the other side has ended; E_IO.
 */
enum status takeover_send(int sock, const void *p, size_t len, int fd) MUST_USE;

/*
 * Receive one into buf[TAKEOVER_RECORD_MAX]. *fd: what came beside it, the caller's; -1: none.
 * Errors: E_AGAIN none is there; E_CLOSED the other side has ended; E_PROTO too long; E_IO.
 */
enum status takeover_receive(int sock, uint8_t *buf, size_t *len, int *fd) MUST_USE;

#endif
