/*
 * migrate - a configuration of PgBouncer as one of pgweir: every line of it again, each with what
 *           becomes of it and why, as comments.
 * Touches:  no file; text goes to a callback in pieces.
 * Secrets:  values are passed on as they are, passwords among them.
 */
#ifndef PGWEIR_CONF_MIGRATE_H
#define PGWEIR_CONF_MIGRATE_H

#include "conf/document.h"

/* What is put is a file of pgweir: its section is [pgweir]. from: the old file's name. */
void migrate_write(const struct conf *c, const char *from, const struct document_out *out);

#endif
