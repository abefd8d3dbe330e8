/*
 * grammar - the console's language: one command, one optional argument. Pure.
 * Rules:  words in any case; names as identifiers (folded to lower case), "quoted" or 'quoted';
 *         comments and a final semicolon are allowed. SELECT is another word for SHOW. What
 *         follows EXPLAIN ROUTE [IN database] is the statement, as it is.
 */
#ifndef PGWEIR_CONTROL_GRAMMAR_H
#define PGWEIR_CONTROL_GRAMMAR_H

#include "base/status.h"

#define GRAMMAR_NAME_MAX  128u  /* bytes of an argument, the NUL counted */
#define GRAMMAR_VALUE_MAX 1024u /* bytes of SET's value, the NUL counted */
#define GRAMMAR_TEXT_MAX  128u
#define GRAMMAR_SQL_MAX   4096u /* bytes of the statement of EXPLAIN ROUTE, the NUL counted */

enum verb {
	VERB_EMPTY, /* no word at all */
	VERB_SHOW,  /* name: what */
	VERB_SET,   /* name, value */
	VERB_PAUSE, /* name: database, "" for all; so below */
	VERB_RESUME,
	VERB_SUSPEND,
	VERB_DISABLE,
	VERB_ENABLE,
	VERB_RECONNECT,
	VERB_KILL,
	VERB_KILL_CLIENT, /* name: the id */
	VERB_WAIT_CLOSE,
	VERB_RELOAD,   /* name: "", "dry run" */
	VERB_SHUTDOWN, /* name: "", "wait_for_clients", "wait_for_servers" */
	VERB_SWITCHOVER,
	VERB_EXPLAIN, /* name: the database, "" if it was not named; sql */
	VERB_RESET,   /* name: what: "queries", "errors" */
};

struct console_command {
	enum verb verb;
	char name[GRAMMAR_NAME_MAX];
	char value[GRAMMAR_VALUE_MAX];
	char sql[GRAMMAR_SQL_MAX];
	char text[GRAMMAR_TEXT_MAX]; /* as it came, cut, for messages; also after an error */
};

/* Errors: E_INVALID not a command of ours; E_LIMIT a name or value is too long. */
enum status grammar_read(const char *sql, struct console_command *out) MUST_USE;

/* "PAUSE": the command's tag, for CommandComplete. */
const char *verb_tag(enum verb v);

#endif
