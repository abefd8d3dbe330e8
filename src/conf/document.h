/*
 * document - the table of settings as text for people: --help-config, the manual's section of
 * keys, the example file, the rows of SHOW CONFIG.
 * Touches: no file; text goes to a callback in pieces.
 */
#ifndef PGWEIR_CONF_DOCUMENT_H
#define PGWEIR_CONF_DOCUMENT_H

#include "conf/conf.h"

struct document_out {
	void (*put)(void *arg, const char *text);
	void *arg;
};

/*
 * --help-config: every key in one line each, or, with `key`, all about that key in each section
 * that knows it. Errors: E_NOTFOUND; what is near is told.
 */
enum status document_help(const struct document_out *out, const char *key) MUST_USE;

void document_man(const struct document_out *out); /* the keys, in mdoc(7) */
void document_ini(const struct document_out *out); /* the [pgweir] keys, commented out */

/* A row of SHOW CONFIG; pointers are borrowed from the table, or from `buf`. */
struct document_row {
	const char *key;
	const char *value;
	const char *def;
	bool is_changeable; /* SET key = value may change it */
};

/*
 * The row after *pos (start with 0), sorted by key; false at the end. Keys without effect here are
 * shown with PgBouncer's default, since monitoring tools look for them.
 * buf: at least SETTING_TEXT_MAX bytes, for longer values are cut.
 */
bool document_show(
	const struct conf *c, size_t *pos, struct document_row *row, char *buf, size_t cap);

#endif
