#include "state/stmt_names.h"

#include <stdlib.h>
#include <string.h>

void stmt_names_init(struct stmt_names *n, struct stmt_table *t, uint32_t n_max)
{
	n->table = t;
	map_init(&n->map);
	n->last = NULL;
	n->unnamed = NULL;
	n->n_max = n_max;
	n->last_serial = 0;
	n->bytes = 0;
	n->text_bytes = 0;
	n->bytes_max = SIZE_MAX;
}

void stmt_names_fini(struct stmt_names *n)
{
	stmt_names_clear(n);
	free(n->unnamed);
	map_fini(&n->map);
}

static uint64_t name_hash(const struct stmt_names *n, const char *name, size_t len)
{
	return hash_bytes(stmt_table_key(n->table), name, len);
}

static bool name_equal(const void *item, const void *key)
{
	return strcmp(((const struct stmt_name *)item)->name, key) == 0;
}

static size_t entry_bytes(size_t name_len)
{
	return sizeof(struct stmt_name) + name_len + 1;
}

struct stmt_name *stmt_names_find(const struct stmt_names *n, const char *name)
{
	struct stmt_name *e;

	if (name[0] == '\0')
		return n->unnamed != NULL && n->unnamed->stmt != NULL ? n->unnamed : NULL;
	/* Of one message several ask, and many a client runs one statement again and again. */
	if (n->last != NULL && name_equal(n->last, name))
		return n->last;
	if (n->map.n_items == 0)
		return NULL;
	e = map_find(&n->map, name_hash(n, name, strlen(name)), name_equal, name);
	if (e != NULL)
		((struct stmt_names *)(uintptr_t)n)->last = e; /* a memo, no change */
	return e;
}

/* NULL: no memory. */
static struct stmt_name *entry_new(struct stmt_names *n, const char *name, size_t len)
{
	struct stmt_name *e = calloc(1, entry_bytes(len));

	if (e == NULL)
		return NULL;
	e->serial = ++n->last_serial;
	e->name_len = (uint32_t)len;
	memcpy(e->name, name, len);
	n->bytes += entry_bytes(len);
	return e;
}

static void entry_free(struct stmt_names *n, struct stmt_name *e)
{
	if (n->last == e)
		n->last = NULL;
	n->bytes -= entry_bytes(e->name_len);
	stmt_unref(n->table, e->stmt);
	free(e);
}

static enum status put_unnamed(struct stmt_names *n, struct stmt *s, struct stmt_name **out)
{
	struct stmt_name *e = n->unnamed;

	if (e == NULL && (e = entry_new(n, "", 0)) == NULL)
		return E_NOMEM;
	n->unnamed = e;
	stmt_ref(s); /* before the old one goes: it may be the same */
	stmt_unref(n->table, e->stmt);
	e->stmt = s;
	e->word = 0;
	e->seen = (struct stmt_seen){0};
	*out = e;
	return OK;
}

enum status stmt_names_put(
	struct stmt_names *n, const char *name, struct stmt *s, struct stmt_name **out)
{
	size_t len = strlen(name);
	struct stmt_name *e;

	if (len == 0)
		return put_unnamed(n, s, out);
	if (stmt_names_find(n, name) != NULL)
		return E_EXISTS;
	if (n->map.n_items >= n->n_max || len > STMT_NAME_MAX ||
		n->bytes + n->text_bytes + entry_bytes(len) + s->in.bytes > n->bytes_max)
		return E_LIMIT;
	if ((e = entry_new(n, name, len)) == NULL)
		return E_NOMEM;
	if (map_insert(&n->map, name_hash(n, name, len), e) != OK) {
		entry_free(n, e);
		return E_NOMEM;
	}
	e->stmt = stmt_ref(s);
	n->n_sql += s->is_sql;
	n->text_bytes += s->in.bytes;
	*out = e;
	return OK;
}

void stmt_names_change(struct stmt_names *n, struct stmt_name *e, struct stmt *s)
{
	stmt_ref(s); /* before the old one goes: it may be the same */
	if (e != n->unnamed) {
		n->n_sql += (uint32_t)s->is_sql - e->stmt->is_sql;
		n->text_bytes += s->in.bytes - e->stmt->in.bytes;
	}
	stmt_unref(n->table, e->stmt);
	e->stmt = s;
	e->word = 0;
}

bool stmt_names_remove(struct stmt_names *n, const char *name)
{
	struct stmt_name *e = stmt_names_find(n, name);

	if (e == NULL)
		return false;
	if (e == n->unnamed) {
		stmt_unref(n->table, e->stmt);
		e->stmt = NULL;
		return true;
	}
	PANIC_IF(!map_remove(&n->map, name_hash(n, e->name, e->name_len), e));
	n->n_sql -= e->stmt->is_sql;
	n->text_bytes -= e->stmt->in.bytes;
	entry_free(n, e);
	return true;
}

void stmt_names_clear(struct stmt_names *n)
{
	struct stmt_name *e;

	map_foreach (e, pos, &n->map)
		entry_free(n, e);
	n->n_sql = 0;
	n->text_bytes = 0;
	map_fini(&n->map);
	(void)stmt_names_remove(n, "");
}

struct stmt_name *stmt_names_next(const struct stmt_names *n, size_t *pos)
{
	return map_next(&n->map, pos);
}

enum status stmt_names_adopt(struct stmt_names *n, struct stmt_table *t)
{
	struct map rehashed;
	struct stmt_name *e = stmt_names_find(n, "");
	enum status st = OK;

	n->table = t; /* what is not adopted below is dropped with this table as well */
	if (e != NULL && (st = stmt_adopt(t, &e->stmt)) != OK)
		return st;
	map_init(&rehashed);
	map_foreach (e, pos, &n->map) {
		if ((st = stmt_adopt(t, &e->stmt)) != OK ||
			(st = map_insert(&rehashed, name_hash(n, e->name, e->name_len), e)) != OK)
			goto fail;
	}
	map_fini(&n->map);
	n->map = rehashed;
	return OK;
fail:
	map_fini(&rehashed);
	return st;
}
