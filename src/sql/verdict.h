/*
 * verdict - what classify() says about one text: where it may run and what it does to the
 * session. Plain values; views are offsets into the judged text, which is not kept.
 */
#ifndef PGWEIR_SQL_VERDICT_H
#define PGWEIR_SQL_VERDICT_H

#include "sql/lexer.h"

#define SQL_EFFECTS_MAX 24u

/* Of several statements in one text the greatest counts. */
enum sql_class {
	SQL_EMPTY,   /* no statement: blanks, comments, semicolons */
	SQL_READ,    /* reads only; whether a replica may answer it is SQLV_REPLICA */
	SQL_TXN,     /* transaction control only */
	SQL_SESSION, /* makes, changes or needs session state (effects tell), writes nothing */
	SQL_WRITE,
	SQL_UNKNOWN, /* primary: it calls what no catalog tells of, or could not be read (then the
			session may have changed in any way) */
};

#define SQLV_REPLICA 0x0001u /* proved: a replica gives the primary's answer, no state is left */
#define SQLV_MAY_ADVANCE                                                                           \
	0x0002u                  /* may advance a sequence (INSERT, COPY FROM, MERGE, nextval …) \
				  */
#define SQLV_USES_SEQ    0x0004u /* currval or lastval: needs the server that advanced last */
#define SQLV_DDL         0x0008u /* the catalog is old when it has committed; not of DROP */
#define SQLV_NOTIFY      0x0010u
#define SQLV_COPY_IN     0x0020u /* COPY … FROM STDIN: the client will send CopyData */
#define SQLV_COPY_OUT    0x0040u /* COPY … TO STDOUT */
#define SQLV_NO_TXN      0x0080u /* refused inside a transaction block: VACUUM, CREATE DATABASE … */
#define SQLV_USES_CURSOR 0x0100u /* FETCH, MOVE, CLOSE, WHERE CURRENT OF */
#define SQLV_USES_STMT   0x0200u /* EXECUTE or DEALLOCATE of a statement made by PREPARE */
#define SQLV_OPENS_TXN   0x0400u /* a transaction begun in the text is still open at its end */
#define SQLV_ENDS_TXN    0x0800u /* ends a transaction that was begun before the text */
#define SQLV_MORE_AFTER  0x1000u /* statements follow such an end, in the same text */
#define SQLV_LOST        0x2000u /* more effects than SQL_EFFECTS_MAX: treat as an unknown pin */
#define SQLV_SCHEMA      0x8000u /* definitions change, by DROP too: what parsed may not any more */
#define SQLV_BODY                                                               \
	0x4000u /* runs code that the text does not show (CALL, DO, a dangerous \
		   function): what it did is known only afterwards */

/* Of reads; not from classify, but where transactions may move: see txn_time.h. */
#define SQLV_TXN_TIME 0x10000u /* names what depends on when its transaction began */
#define SQLV_SNAPSHOT 0x20000u /* takes a snapshot: no SHOW, not empty */

/* Why a text is not for a replica; sql_cause_text gives the words. */
enum sql_cause {
	CAUSE_NONE,
	CAUSE_NO_CATALOG, /* the names of this database are not known yet */
	CAUSE_ENCODING,   /* cannot be lexed in this encoding, invalid bytes, or a NUL */
	CAUSE_TOO_LONG,   /* above SQL_LEN_MAX */
	CAUSE_SYNTAX,     /* lexical error or a form that is not understood */
	CAUSE_VERB,       /* the statement writes or is not known to read */
	CAUSE_LOCKING,    /* FOR UPDATE/SHARE */
	CAUSE_INTO,       /* SELECT INTO */
	CAUSE_CTE_WRITE,  /* INSERT/UPDATE/DELETE/MERGE inside WITH or parentheses */
	CAUSE_FUNCTION,   /* volatile, or listed */
	CAUSE_RELATION,   /* view, sequence, unlogged or foreign table … */
	CAUSE_TYPE,       /* type or domain with code of its own that is dangerous */
	CAUSE_OPERATOR,   /* operator whose function is dangerous */
	CAUSE_DATABASE,   /* the catalog says that nothing here is safe */
	CAUSE_SERVER,     /* asks for something that differs by server: role, host, statistics */
	CAUSE_SEQUENCE,   /* nextval, setval, currval, lastval */
	CAUSE_ADVISORY,   /* advisory lock */
	CAUSE_SETTING,    /* SET, RESET, set_config … */
	CAUSE_SESSION,    /* other session state: cursor, prepared statement, LISTEN, temp … */
	CAUSE_NAME,       /* a name that cannot be compared with the catalog's */
	CAUSE_TXN,        /* a transaction that is not READ ONLY, or SERIALIZABLE, or its end */
	CAUSE_BODY,       /* CALL, DO: code that is not seen */
	CAUSE_COUNT,
};

/* Sentences below: (name) and (value) say which views are set. */
enum sql_effect_kind {
	EFFECT_NONE,
	/* transaction control */
	EFFECT_BEGIN,               /* modes; SQL_EFFECT_START when it was START TRANSACTION */
	EFFECT_COMMIT,              /* SQL_EFFECT_CHAIN */
	EFFECT_ROLLBACK,            /* SQL_EFFECT_CHAIN */
	EFFECT_SAVEPOINT,           /* (name) */
	EFFECT_RELEASE,             /* (name) */
	EFFECT_ROLLBACK_TO,         /* (name) */
	EFFECT_SET_TRANSACTION,     /* modes of this transaction; SET transaction_read_only … are
				       EFFECT_SET */
	EFFECT_SET_CHARACTERISTICS, /* modes: the session's default_transaction_* */
	EFFECT_SET_SNAPSHOT,
	EFFECT_SET_CONSTRAINTS,
	EFFECT_PREPARE_TXN,
	EFFECT_END_PREPARED, /* COMMIT PREPARED, ROLLBACK PREPARED */
	/* settings */
	EFFECT_SET,   /* (name, value); SQL_EFFECT_LOCAL, _CUSTOM, _UNTRACKED */
	EFFECT_RESET, /* (name): RESET name, SET name TO DEFAULT; SQL_EFFECT_LOCAL, _CUSTOM */
	EFFECT_RESET_ALL,
	EFFECT_SET_CONFIG, /* set_config(); (name, value) when literal, or by parameter: see
			      struct sql_effect; SQL_EFFECT_LOCAL, _CUSTOM, _SURE, _MAYBE_LOCAL,
			      _UNTRACKED (whatever is not literal) */
	EFFECT_ROLE,       /* (name, value): SET/RESET ROLE, SET/RESET SESSION AUTHORIZATION;
			      value.len 0: reset */
	EFFECT_DISCARD_ALL,
	EFFECT_DISCARD_PLANS,
	EFFECT_DISCARD_TEMP,
	EFFECT_DISCARD_SEQUENCES,
	/* session objects, and what undoes them */
	EFFECT_TEMP,            /* temporary table, view, sequence … */
	EFFECT_ADVISORY_LOCK,   /* session-level */
	EFFECT_ADVISORY_UNLOCK, /* pg_advisory_unlock, _shared */
	EFFECT_ADVISORY_UNLOCK_ALL,
	EFFECT_LISTEN,   /* (name) */
	EFFECT_UNLISTEN, /* (name) */
	EFFECT_UNLISTEN_ALL,
	EFFECT_DECLARE, /* (name); SQL_EFFECT_HOLD: outlives its transaction */
	EFFECT_CLOSE,   /* (name) */
	EFFECT_CLOSE_ALL,
	EFFECT_PREPARE,    /* (name); value.off: where what is prepared begins */
	EFFECT_EXECUTE,    /* (name) */
	EFFECT_DEALLOCATE, /* (name) */
	EFFECT_DEALLOCATE_ALL,
	EFFECT_STATEMENTS, /* all prepared statements are looked at: pg_prepared_statements */
	EFFECT_LOAD,
	EFFECT_SETSEED,
	EFFECT_DBLINK, /* dblink_connect and friends, disconnecting ones too */
	EFFECT_SLOT,   /* temporary replication slot, exported snapshot … bound to its session */
	EFFECT_RUNS,   /* code that the text does not show, and that may set parameters;
			  SQL_EFFECT_CUSTOM: custom ones too */
	EFFECT_SETVAL, /* setval(): what currval gives need not be what it has advanced */
	EFFECT_DEFAULTS, /* (name, or none: of all): ALTER ROLE or DATABASE … SET, RESET; …_DATABASE
			  */
	EFFECT_SIGNAL,  /* pg_cancel_backend(), pg_terminate_backend() */
	EFFECT_UNKNOWN, /* CALL or DO that names a session effect */
	EFFECT_COUNT,
};

#define SQL_EFFECT_START     0x01u /* tag "START TRANSACTION" instead of "BEGIN" */
#define SQL_EFFECT_CHAIN     0x02u /* AND CHAIN */
#define SQL_EFFECT_LOCAL     0x04u /* ends with the transaction */
#define SQL_EFFECT_CUSTOM    0x08u /* custom parameter: its name has a dot */
#define SQL_EFFECT_UNTRACKED 0x10u /* value (or name) cannot be known from the text */
#define SQL_EFFECT_HOLD      0x20u /* WITH HOLD */
#define SQL_EFFECT_PG_TEMP   0x20u /* of EFFECT_SET: a search_path that may name pg_temp */
#define SQL_EFFECT_DATABASE  0x40u /* of EFFECT_DEFAULTS: of a database, not of a role */
/* Of EFFECT_SET_CONFIG: */
#define SQL_EFFECT_SURE        0x40u /* executed exactly once if the statement completes */
#define SQL_EFFECT_MAYBE_LOCAL 0x80u /* whether it is local is computed */

enum sql_isolation {
	ISOLATION_UNSET,
	ISOLATION_READ_UNCOMMITTED,
	ISOLATION_READ_COMMITTED,
	ISOLATION_REPEATABLE_READ,
	ISOLATION_SERIALIZABLE,
};

enum sql_tri { TRI_UNSET, TRI_YES, TRI_NO };

/* Transaction modes as given; of repeated ones the last. */
struct sql_modes {
	uint8_t isolation;  /* enum sql_isolation */
	uint8_t read_only;  /* enum sql_tri; TRI_NO is READ WRITE */
	uint8_t deferrable; /* enum sql_tri */
	bool needs_primary; /* READ WRITE or SERIALIZABLE is named, even if overridden later: a
			       standby refuses the statement */
};

struct sql_effect {
	uint8_t kind;    /* enum sql_effect_kind */
	uint8_t flags;   /* SQL_EFFECT_* */
	uint8_t implied; /* enum sql_implied: the name when syntax implies it */
	uint16_t stmt;   /* which statement of the text, from 0; saturates */
	struct sql_modes modes;
	/* of EFFECT_SET_CONFIG: the number of the parameter that an argument is, or 0 */
	uint16_t name_param, value_param, local_param;
	struct sql_view name;  /* raw token; sql_effect_name decodes */
	struct sql_view value; /* raw tokens; sql_effect_value decodes */
};

enum sql_implied {
	IMPLIED_NONE, /* `name` has it */
	IMPLIED_TIMEZONE,
	IMPLIED_CLIENT_ENCODING,
	IMPLIED_SEARCH_PATH,
	IMPLIED_TRANSACTION_ISOLATION,
	IMPLIED_SESSION_AUTHORIZATION,
	IMPLIED_XMLOPTION,
	IMPLIED_ROLE,
	IMPLIED_SEED,
	IMPLIED_COUNT,
};

#define SQL_OBJECTIONS_MAX 16u

/* All reasons against a replica, in the order of the text: for people (EXPLAIN ROUTE). */
struct sql_objections {
	uint8_t n; /* 0..SQL_OBJECTIONS_MAX; further ones are left out */
	struct sql_objection {
		uint8_t cause;  /* enum sql_cause */
		bool runs_code; /* the catalog: a user's code, or what runs some */
		struct sql_view at;
	} at[SQL_OBJECTIONS_MAX];
};

struct sql_verdict {
	uint8_t cls;        /* enum sql_class */
	uint8_t cause;      /* enum sql_cause: the first reason not to use a replica */
	uint8_t n_effects;  /* 0..SQL_EFFECTS_MAX, in the order of the text */
	uint16_t n_stmts;   /* statements that are not empty; saturates at UINT16_MAX */
	uint32_t flags;     /* SQLV_* */
	struct sql_view at; /* the token of `cause`, or the whole text */
	struct sql_effect effects[SQL_EFFECTS_MAX];
};

/* Why a client must keep its server; the words of SHOW PINS. */
enum sql_pin {
	SQL_PIN_NONE,
	SQL_PIN_TEMP,
	SQL_PIN_ADVISORY,
	SQL_PIN_LISTEN,
	SQL_PIN_CURSOR,
	SQL_PIN_PREPARED,
	SQL_PIN_CUSTOM_PARAMETER,
	SQL_PIN_SETTING, /* set_config, or SET with a value that is not literal */
	SQL_PIN_ROLE,
	SQL_PIN_LOAD,
	SQL_PIN_SEED,
	SQL_PIN_DBLINK,
	SQL_PIN_SLOT,
	SQL_PIN_UNKNOWN,
	SQL_PIN_COUNT,
};

const char *sql_class_name(enum sql_class cls);   /* "read", "write" … */
const char *sql_cause_text(enum sql_cause cause); /* short, for logs and SHOW ROUTES */
const char *sql_pin_name(enum sql_pin pin);       /* "temp", "advisory" … */
const char *sql_effect_kind_name(enum sql_effect_kind kind);

/*
 * The pin that the effect asks for while the session cannot carry it to another server, else
 * SQL_PIN_NONE (transaction control, SET with literal values, LOCAL effects, everything that
 * undoes).
 */
enum sql_pin sql_effect_pin(const struct sql_effect *e);

/* Is the text exactly one statement, of this effect kind and nothing else? */
static inline bool sql_verdict_is(const struct sql_verdict *v, enum sql_effect_kind kind)
{
	return v->n_stmts == 1 && v->n_effects == 1 && v->effects[0].kind == kind &&
	       (v->flags & SQLV_LOST) == 0;
}

/*
 * Name of the effect's object as the server will know it: folded or unquoted; parameter names
 * (EFFECT_SET, _RESET, _SET_CONFIG) are in lower case whole, parts joined by '.'.
 * text, opts: what was judged. buf gets name and NUL, *len its length.
 * Errors: E_NOTFOUND the effect has no name; E_INVALID; E_LIMIT does not fit `cap`.
 */
enum status sql_effect_name(const char *text, uint32_t opts, const struct sql_effect *e, char *buf,
	size_t cap, size_t *len) MUST_USE;

/*
 * Value of EFFECT_SET, _ROLE or _SET_CONFIG as the string that the server will hold: literals
 * decoded, list items joined by ", " and quoted as quote_identifier() does for search_path,
 * temp_tablespaces and the *_preload_libraries. What the server normalises itself ('1024kB' to
 * 1MB, a time zone's spelling) is left to it.
 * Errors: as sql_effect_name; E_NOTFOUND also for SQL_EFFECT_UNTRACKED (but a set_config whose
 * value is literal has it all the same).
 */
enum status sql_effect_value(const char *text, uint32_t opts, const struct sql_effect *e, char *buf,
	size_t cap, size_t *len) MUST_USE;

#endif
