#include "conf/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/wr.h"

#define VALUE_SHOWN_MAX 200u /* bytes: what was expected has to fit behind it */

void findings_init(struct findings *f)
{
	*f = (struct findings){.items = NULL};
	arena_init(&f->arena);
}

void findings_fini(struct findings *f)
{
	arena_fini(&f->arena);
	*f = (struct findings){.items = NULL};
}

/* A place for one more, or NULL at the limit. */
static struct finding *next_item(struct findings *f)
{
	if (f->n >= FINDINGS_MAX)
		return NULL;
	if (f->items == NULL)
		f->items = arena_take_array(&f->arena, FINDINGS_MAX, sizeof *f->items);
	return f->items != NULL ? &f->items[f->n] : NULL;
}

static const char *copy_or_empty(struct arena *a, const char *s)
{
	return s == NULL || *s == '\0' ? "" : arena_strdup(a, s);
}

void findings_add(struct findings *f, enum finding_kind kind, const struct finding_at *at,
	const char *fmt, ...)
{
	struct finding *item = next_item(f);
	va_list ap;

	if (kind == FINDING_ERROR)
		f->n_errors++;
	if (item == NULL) {
		f->n_left_out++;
		return;
	}
	va_start(ap, fmt);
	*item = (struct finding){
		.kind = kind,
		.file = copy_or_empty(&f->arena, at->file),
		.line = at->line,
		.key = copy_or_empty(&f->arena, at->key),
		.value = at->value != NULL ? arena_strdup(&f->arena, at->value) : NULL,
		.text = arena_vprintf(&f->arena, fmt, ap),
	};
	va_end(ap);
	if (item->file == NULL || item->key == NULL || item->text == NULL ||
		(at->value != NULL && item->value == NULL))
		f->n_left_out++;
	else
		f->n++;
}

/* Where the file is first told of: files stay in the order in which they are read. */
static size_t first_of_file(const struct findings *f, const char *file)
{
	size_t i = 0;

	while (strcmp(f->items[i].file, file) != 0)
		i++;
	return i;
}

void findings_sort(struct findings *f)
{
	size_t rank[FINDINGS_MAX];

	for (size_t i = 0; i < f->n; i++)
		rank[i] = first_of_file(f, f->items[i].file);
	for (size_t i = 1; i < f->n; i++) { /* by insertion: equal lines keep their order */
		struct finding item = f->items[i];
		size_t r = rank[i], j = i;

		for (; j > 0 &&
			(rank[j - 1] > r || (rank[j - 1] == r && f->items[j - 1].line > item.line));
			j--) {
			f->items[j] = f->items[j - 1];
			rank[j] = rank[j - 1];
		}
		f->items[j] = item;
		rank[j] = r;
	}
}

/* A file may hold anything; a log line or a terminal may not. */
static void replace_controls(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

static void append_max(struct wr *w, const char *s, size_t max)
{
	size_t len = strnlen(s, max);
	size_t room = w->cap - w->len;

	wr_bytes(w, s, len < room ? len : room);
}

static void append(struct wr *w, const char *s)
{
	append_max(w, s, strlen(s));
}

static void append_value(struct wr *w, const char *value)
{
	append(w, " = ");
	append_max(w, value, VALUE_SHOWN_MAX);
	append(w, strlen(value) > VALUE_SHOWN_MAX ? "..." : "");
}

const char *finding_format(const struct finding *f, char *buf, size_t cap)
{
	struct wr w = wr_of(buf, cap - 1);
	char line[16];

	append(&w, f->file);
	if (f->line != 0) {
		(void)snprintf(line, sizeof line, ":%u", f->line);
		append(&w, line);
	}
	append(&w, *f->file != '\0' ? ": " : "");
	append(&w, f->key);
	if (f->value != NULL)
		append_value(&w, f->value);
	append(&w, *f->key != '\0' ? ": " : "");
	append(&w, f->text);
	buf[w.len] = '\0';
	replace_controls(buf);
	return buf;
}
