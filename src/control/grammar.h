/*
 * grammar - the console's language: one command, one optional argument. Pure.
 * Rules:  words in any case; names as identifiers (folded to lower case), "quoted" or 'quoted';
 *         comments and a final semicolon are allowed. SELECT is another word for SHOW.
 */
#ifndef PGWEIR_CONTROL_GRAMMAR_H
#define PGWEIR_CONTROL_GRAMMAR_H

#include "base/status.h"

#define GRAMMAR_NAME_MAX  128u  /* bytes of an argument, the NUL counted */
#define GRAMMAR_VALUE_MAX 1024u /* bytes of SET's value, the NUL counted */

enum command {
	COMMAND_EMPTY, /* no word at all */
	COMMAND_SHOW,  /* name: what */
	COMMAND_SET,   /* name, value */
	COMMAND_PAUSE, /* name: database, "" for all; so below */
	COMMAND_RESUME,
	COMMAND_SUSPEND,
	COMMAND_DISABLE,
	COMMAND_ENABLE,
	COMMAND_RECONNECT,
	COMMAND_KILL,
	COMMAND_KILL_CLIENT, /* name: the id */
	COMMAND_WAIT_CLOSE,
	COMMAND_RELOAD,
	COMMAND_SHUTDOWN, /* name: "", "wait_for_clients", "wait_for_servers" */
};

struct console_command {
	enum command command;
	char name[GRAMMAR_NAME_MAX];
	char value[GRAMMAR_VALUE_MAX];
};

/* Errors: E_INVALID not a command of ours; E_LIMIT a name or value is too long. */
enum status grammar_read(const char *sql, struct console_command *out) MUST_USE;

/* "PAUSE": the command's tag, for CommandComplete. */
const char *command_tag(enum command c);

#endif
