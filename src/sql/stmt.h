/*
 * stmt - the parsers of statements, by kind. Each is called with the cursor on the statement's
 * first word and leaves it at the statement's end.
 * Used by classify only.
 */
#ifndef PGWEIR_SQL_STMT_H
#define PGWEIR_SQL_STMT_H

#include "sql/scan.h"

/* stmt_txn.c: transaction control */
void stmt_begin(struct scan *s);    /* and START TRANSACTION */
void stmt_commit(struct scan *s);   /* and END */
void stmt_rollback(struct scan *s); /* and ABORT */
void stmt_savepoint(struct scan *s);
void stmt_release(struct scan *s);

/* The modes after SET TRANSACTION or SET SESSION CHARACTERISTICS AS TRANSACTION: one or more. */
bool stmt_take_modes(struct scan *s, struct sql_modes *m);

/* stmt_set.c: settings */
void stmt_set(struct scan *s);
void stmt_reset(struct scan *s);
void stmt_show(struct scan *s);
void stmt_discard(struct scan *s);

/* stmt_session.c: other state of the session */
void stmt_prepare(struct scan *s); /* and PREPARE TRANSACTION */
void stmt_execute(struct scan *s);
void stmt_deallocate(struct scan *s);
void stmt_declare(struct scan *s);
void stmt_fetch(struct scan *s); /* and MOVE */
void stmt_close(struct scan *s);
void stmt_listen(struct scan *s);
void stmt_unlisten(struct scan *s);
void stmt_notify(struct scan *s);
void stmt_load(struct scan *s);
void stmt_call(struct scan *s);
void stmt_do(struct scan *s);

/* stmt_data.c: reads, writes, DDL */
void stmt_read(struct scan *s);   /* SELECT, VALUES, TABLE, WITH, also in parentheses */
void stmt_modify(struct scan *s); /* INSERT, UPDATE, DELETE, MERGE */
void stmt_copy(struct scan *s);
void stmt_explain(struct scan *s);
void stmt_create(struct scan *s);
void stmt_alter(struct scan *s);    /* and other DDL */
void stmt_maintain(struct scan *s); /* VACUUM, LOCK, CHECKPOINT …: writes nothing that we track */

#endif
