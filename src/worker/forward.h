/*
 * forward - from a client to its server: settings, a deferred BEGIN and missing prepared statements
 * go ahead of the unit in the same write; names of prepared statements are rewritten; what is owed
 * for each message is noted.
 */
#ifndef PGWEIR_WORKER_FORWARD_H
#define PGWEIR_WORKER_FORWARD_H

#include "proto/frontend.h"
#include "worker/client.h"
#include "worker/server.h"

/* Owed entries of ours: struct owed_entry.tag. */
enum owed_tag {
	OWED_TAG_NONE,
	OWED_TAG_SETUP,    /* hidden query without a consequence */
	OWED_TAG_DIFF,     /* hidden query: the client's settings */
	OWED_TAG_REDIFF,   /* the same after a RESET: the client is told the values */
	OWED_TAG_CHECK,    /* hidden query: server_check_query */
	OWED_TAG_PROBE,    /* hidden query: which pins still hold */
	OWED_TAG_ADVANCED, /* hidden query: what has the transaction advanced, see advanced.h */
	OWED_TAG_FOUND,    /* hidden query: what has been set; ref is a struct found_note */
	OWED_TAG_WELCOME,  /* hidden query: settings of a client that logs in */
	OWED_TAG_BEGIN,    /* hidden query: the deferred BEGIN and what followed it */
	OWED_TAG_CONFIRM,  /* hidden end of a unit whose error is asked about, see confirm.h */
	OWED_TAG_RESET, /* hidden query: server_reset_query and the like; ROLLBACK of a client that
			 * left
			 */
	OWED_TAG_FLUSH, /* the Sync that was sent in place of the client's Flush */
	OWED_TAG_PARSE_NAMED,  /* client's Parse: ref is a struct parse_note */
	OWED_TAG_PARSE_HIDDEN, /* our Parse: ref is a reference to the struct stmt */
	OWED_TAG_NAME_ERROR,   /* the error that will come names our statement: ref is a struct
				* name_note
				*/
	OWED_TAG_CLOSE_NAME,   /* client's Close of a statement: ref is a struct close_note */
	OWED_TAG_SHAPE,        /* Describe: ref is a struct prepared_note, or NULL: of the unnamed
				* statement with serial `no`
				*/
	OWED_TAG_SQL,          /* hidden: makes a statement under its name; ref is that, or NULL */
	OWED_TAG_EFFECTS,      /* Query or Execute with effects: ref is a struct effects */
};

struct parse_note {
	struct stmt *stmt; /* a reference; NULL: it cannot be interned, the client is pinned */
	uint64_t number;   /* on the server */
	uint32_t serial;   /* of the client's name */
	uint64_t good;     /* what stmt->good becomes when it is parsed; 0: nothing is learned */
	char name[];       /* the client's */
};

/* A Close takes the name away at once, since a Parse may follow; if it is skipped it comes back. */
struct close_note {
	struct stmt *stmt; /* a reference; NULL: the client had no such name */
	uint32_t serial;   /* of that name */
	struct stmt_seen seen;
	char name[];
};

enum name_error {
	NAME_IS_TAKEN,           /* 42P05 */
	NAME_IS_MISSING,         /* 26000 */
	NAME_HAS_ANOTHER_RESULT, /* 0A000 */
	NAME_IS_TOO_MUCH,        /* 53400: max_statement_memory */
};

struct name_note {
	enum name_error error;
	char name[]; /* the client's */
};

/* What a Parse of the client names. The caller owns a reference. Errors: as stmt_intern. */
enum status forward_intern(
	struct worker *w, struct client *c, const struct msg_parse *m, struct stmt **out) MUST_USE;

/*
 * Send the client's complete unit (c->busy->unit.len bytes at `data`) to its server, everything
 * that must go ahead of it first, and flush. Errors: E_NOMEM, E_LIMIT (too much in flight), E_PROTO
 * (malformed message): the server is in an unknown state and has to be closed, the client too.
 * E_AGAIN: only *sent bytes of it are sent, its next message waits for an answer
 * (c->busy->checking): it goes on as a stream.
 */
enum status forward_unit(
	struct worker *w, struct client *c, const uint8_t *data, uint32_t *sent) MUST_USE;

/* Send what the server keeps of the client's unit once more. Errors: as forward_unit. */
enum status forward_again(struct worker *w, struct client *c) MUST_USE;

/*
 * Send what must go ahead of the first message to a newly linked server: settings, BEGIN.
 * forward_unit does it itself; streams call it before their first message.
 */
enum status forward_prefix(struct worker *w, struct client *c) MUST_USE;

/*
 * The settings that go ahead of a unit are sent in the same write, for they are accepted. What a
 * server may refuse is sent alone, to a primary: does the unit, of which nothing is sent yet, wait
 * for the answer? Then hidden.h lets it go on, or refuses it. On a replica nothing is written, and
 * what it answers is not read once its settings have failed.
 */
bool forward_settings_ahead(struct worker *w, struct client *c);

static inline bool forward_settings_wait(struct worker *w, struct client *c)
{
	return (c->busy->settings_wait ||
		       (c->busy->prefix_due && c->server->settings != c->set.current)) &&
	       forward_settings_ahead(w, c);
}

/*
 * Send one message of a stream, of which `len` bytes are there (its head at least); the rest of a
 * large one is left to c->busy->body_left. *used: bytes taken; 0 if more is needed first.
 */
enum status forward_message(
	struct worker *w, struct client *c, const uint8_t *data, size_t len, size_t *used) MUST_USE;

/* Ask a server what the settings of a client that logs in come to. */
enum status forward_welcome(struct worker *w, struct client *c) MUST_USE;

/* Put a hidden Query and note that its answer is to be dropped. Errors: E_NOMEM, E_LIMIT. */
enum status forward_hidden(struct server *s, const char *sql, enum owed_tag tag) MUST_USE;
/* The same with something that the tag tells of; it is the caller's still after an error. */
enum status forward_hidden_ref(
	struct server *s, const char *sql, enum owed_tag tag, void *ref) MUST_USE;

#endif
