#include <stdlib.h>
#include <string.h>

#include "control/session.h"
#include "proto/sqlstate.h"

struct prepared *prepared_find(struct session *s, char kind, const char *name)
{
	struct list *it;

	list_foreach (it, &s->prepared) {
		struct prepared *p = list_entry(it, struct prepared, link);

		if (p->kind == kind && strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

void prepared_drop(struct session *s, struct prepared *p)
{
	if (p == NULL)
		return;
	if (p->is_suspended)
		show_run_end(&s->show);
	list_del(&p->link);
	s->n_prepared--;
	free(p);
}

struct prepared *prepared_add(struct session *s, char kind, const char *name)
{
	struct prepared *p = prepared_find(s, kind, name);

	if (p != NULL && *name != '\0') {
		session_error_as(s,
			kind == 'S' ? SQLSTATE_DUPLICATE_PREPARED_STATEMENT
				    : SQLSTATE_DUPLICATE_CURSOR,
			"there is a prepared statement or portal of this name already");
		return NULL;
	}
	prepared_drop(s, p);
	p = s->n_prepared < SESSION_PREPARED_MAX && strlen(name) < sizeof p->name
		    ? calloc(1, sizeof *p)
		    : NULL;
	if (p == NULL) {
		session_error_as(s, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
			"too many prepared statements on the console, or too long a name");
		return NULL;
	}
	p->kind = kind;
	strcpy(p->name, name);
	list_push_back(&s->prepared, &p->link);
	s->n_prepared++;
	return p;
}

void prepared_drop_all(struct session *s, char kind)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &s->prepared) {
		struct prepared *p = list_entry(it, struct prepared, link);

		if (kind == '\0' || p->kind == kind)
			prepared_drop(s, p);
	}
}

struct prepared *prepared_get(struct session *s, char kind, const char *name)
{
	struct prepared *p = prepared_find(s, kind, name);

	if (p == NULL && kind == 'S')
		session_error_as(s, SQLSTATE_INVALID_SQL_STATEMENT_NAME,
			"there is no prepared statement of this name");
	else if (p == NULL)
		session_error_as(
			s, SQLSTATE_INVALID_CURSOR_NAME, "there is no portal of this name");
	return p;
}
