/*
 * session - one client of the console: its messages (session.c), its statements and portals
 *           (prepared.c), its commands (session_command.c). For these files only.
 * Owns:    the conn, prepared statements and portals, the command under way.
 * Bounds:  a message of SESSION_MESSAGE_MAX bytes; SESSION_PREPARED_MAX statements and portals;
 *          SESSION_OUT_MAX bytes waiting to be sent, at which a table rests; a client that takes
 *          nothing for SESSION_STALL_US is dropped.
 */
#ifndef PGWEIR_CONTROL_SESSION_H
#define PGWEIR_CONTROL_SESSION_H

#include "control/console.h"
#include "control/explaining.h"
#include "control/grammar.h"
#include "net/conn.h"

#define SESSION_MESSAGE_MAX  16384u
#define SESSION_PREPARED_MAX 32u
#define SESSION_OUT_MAX      (256u * 1024u)
#define SESSION_ROWS_STEP    256u /* rows in a turn */
#define SESSION_STALL_US     (60u * 1000u * 1000u)
#define SESSION_LINGER_MS    2000u
#define SESSION_POLL_US      20000u /* PAUSE, WAIT_CLOSE: how often the workers are asked */

#define SESSION_INVALID "invalid command '%s', use SHOW HELP;" /* PgBouncer's words */

enum session_state {
	SESSION_READY,     /* reads messages */
	SESSION_SKIPPING,  /* reads up to the Sync: something in the series has failed */
	SESSION_ANSWERING, /* a command is under way; nothing is read */
};

/* A prepared statement ('S') or a portal ('P'). */
struct prepared {
	struct list link;
	char kind;
	char name[64];
	struct console_command command;
	bool is_suspended; /* a portal whose rows are the session's show */
};

struct consoles {
	struct consoles_conf conf;
	struct list sessions;
	uint32_t n;
	struct show_stats_row stats; /* of sessions that have ended, and all counts */
	uint8_t *buf;                /* ROWS_BUF_MIN bytes, for one message or rows at a time */
};

struct session {
	struct list link;
	struct consoles *of;
	struct conn *conn;
	enum session_state state;
	/* who */
	uint64_t id;
	bool is_admin;
	char user[NAME_LEN];
	char database[NAME_LEN];
	char application_name[64];
	uint64_t connect_wall_us, request_wall_us;
	/* statements and portals */
	struct list prepared;
	uint32_t n_prepared;
	/* the command under way */
	struct console_command command;
	bool is_extended;        /* it came by Execute */
	struct prepared *portal; /* of that Execute */
	uint64_t rows_left;      /* until PortalSuspended; UINT64_MAX: no limit */
	struct show_run show;
	struct tell_run tell;
	struct explain_run explain;
	uint64_t suspended_us; /* SUSPEND: when it was said */
	uint64_t since_sample; /* SWITCHOVER: what was written before it; 0: servers are in use */
	struct reload_request reload;
	struct plan *plan;        /* of the last RELOAD DRY RUN, or NULL */
	struct wheel_timer timer; /* rows go on; the workers are asked again */
	struct wheel_timer stall; /* the client takes nothing */
};

/* --- session.c: life and messages --- */

enum status session_new(
	struct consoles *cs, struct ask_console *ask, struct session **out) MUST_USE;
void session_free(struct session *s); /* with what it has not sent */
void session_end(struct session *s);  /* free; what is written still goes out */

/* The shared buffer, empty. What is written is sent with session_send. */
struct wr session_wr(struct session *s);
void session_send(struct session *s, const struct wr *w);

/* An ErrorResponse and the end of the command; 08P01 unless another SQLSTATE is given. */
void session_error(struct session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void session_error_as(struct session *s, const char *sqlstate, const char *message);
/* CommandComplete and the end of the command. */
void session_complete(struct session *s, const char *tag);
/* The end of a command that was answered already. */
void session_answered(struct session *s);

/* --- prepared.c --- */

struct prepared *prepared_find(struct session *s, char kind, const char *name); /* or NULL */
/* The same; NULL: there is none, and an error has been sent. */
struct prepared *prepared_get(struct session *s, char kind, const char *name);
/* A new one; of the same name only the unnamed is replaced. NULL: an error has been sent. */
struct prepared *prepared_add(struct session *s, char kind, const char *name);
void prepared_drop(struct session *s, struct prepared *p); /* NULL is allowed */
/* All of a kind, or (0) all: a Sync ends the transaction around a series, and so its portals. */
void prepared_drop_all(struct session *s, char kind);

/* --- session_command.c --- */

void session_command_init(struct session *s); /* of a new session */
void session_command_cancel(struct session *s);

/*
 * Begin s->command. The answer, at once or later, ends in session_error, session_complete or
 * session_answered. with_columns: RowDescription comes first (simple protocol).
 */
void session_run(struct session *s, bool with_columns);
/* Rows of a suspended portal. */
void session_go_on(struct session *s);
/* The RowDescription of the command's answer; false: it has no rows. */
bool session_describe(const struct session *s, const struct console_command *c, struct wr *w);
void session_drained(struct session *s); /* the output has gone */

#endif
