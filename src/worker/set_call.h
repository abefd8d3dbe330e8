/*
 * set_call - the arguments of a set_config() in a client's statement: literals of its text, or
 * values that its Bind carries.
 * Source: PostgreSQL manual, "System Administration Functions", set_config; "Message Formats",
 * Bind.
 */
#ifndef PGWEIR_WORKER_SET_CALL_H
#define PGWEIR_WORKER_SET_CALL_H

#include "proto/frontend.h"
#include "sql/verdict.h"
#include "state/settings.h"

enum set_local { SET_LOCAL_NO, SET_LOCAL_YES, SET_LOCAL_UNKNOWN };

struct set_call {
	char name[SETTINGS_NAME_MAX + 1]; /* folded; "": it cannot be told */
	char *value; /* owned; NULL: it cannot be told, is NULL, or is local and no search_path */
	enum set_local local;
};

/*
 * What `e`, an EFFECT_SET_CONFIG of the text, is called with. values: of the Bind, or NULL for
 * none. out->value is to be freed.
 */
void set_call_read(const char *sql, uint32_t opts, const struct sql_effect *e,
	const struct msg_bind_tail *values, struct set_call *out);

#endif
