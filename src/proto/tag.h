/*
 * tag - the command tag of CommandComplete: which command ended, and how many rows it touched.
 * Owns:   nothing.
 * Source: PostgreSQL manual, "Message Formats", CommandComplete; cmdtaglist.h for the names.
 */
#ifndef PGWEIR_PROTO_TAG_H
#define PGWEIR_PROTO_TAG_H

#include "base/status.h"

enum tag {
	TAG_OTHER, /* any other command, among them all DDL */
	TAG_ALTER_ROLE,
	TAG_BEGIN,
	TAG_CALL,
	TAG_CLOSE_CURSOR,
	TAG_CLOSE_CURSOR_ALL,
	TAG_COMMIT,
	TAG_COMMIT_PREPARED,
	TAG_COPY,
	TAG_DEALLOCATE,
	TAG_DEALLOCATE_ALL,
	TAG_DECLARE_CURSOR,
	TAG_DELETE,
	TAG_DISCARD,
	TAG_DISCARD_ALL,
	TAG_DISCARD_PLANS,
	TAG_DISCARD_SEQUENCES,
	TAG_DISCARD_TEMP,
	TAG_DO,
	TAG_EXECUTE,
	TAG_EXPLAIN,
	TAG_FETCH,
	TAG_INSERT,
	TAG_LISTEN,
	TAG_LOCK_TABLE,
	TAG_MERGE,
	TAG_MOVE,
	TAG_NOTIFY,
	TAG_PREPARE,
	TAG_PREPARE_TRANSACTION,
	TAG_RELEASE,
	TAG_RESET,
	TAG_ROLLBACK,
	TAG_ROLLBACK_PREPARED,
	TAG_SAVEPOINT,
	TAG_SELECT,
	TAG_SET,
	TAG_SET_CONSTRAINTS,
	TAG_SHOW,
	TAG_START_TRANSACTION,
	TAG_UNLISTEN,
	TAG_UPDATE,
	TAG_COUNT,
};

struct tag_info {
	enum tag tag;
	bool has_rows;
	uint64_t rows; /* 0 unless has_rows */
};

/* Read "INSERT 0 5", "SELECT 1", "COMMIT" … Unknown words are TAG_OTHER; never fails. */
struct tag_info tag_read(const char *text);

/* The tag as PostgreSQL writes it, without counts; "" for TAG_OTHER. */
const char *tag_name(enum tag t);

#endif
