#include "jsonl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void fail(const struct jsonl *j, const char *why)
{
	fprintf(stderr, "line %u: %s\n", j->line_no, why);
	exit(EXIT_FAILURE);
}

void jsonl_open(struct jsonl *j, const char *path)
{
	*j = (struct jsonl){.f = fopen(path, "r")};
	if (j->f == NULL) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

void jsonl_close(struct jsonl *j)
{
	free(j->line);
	fclose(j->f);
}

static uint32_t hex4(const struct jsonl *j, const char *p)
{
	char digits[5] = {0}, *end;
	uint32_t v;

	memcpy(digits, p, strnlen(p, 4));
	v = (uint32_t)strtoul(digits, &end, 16);
	if (end != digits + 4)
		fail(j, "wrong \\u escape");
	return v;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* Behind a backslash at *p; moves *p behind the escape. */
static char *unescape(const struct jsonl *j, char *out, char **p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = strchr(from, **p);
	uint32_t c;

	if (**p == 'u') {
		c = hex4(j, *p + 1);
		*p += 5;
		if (c >= 0xd800 && c < 0xdc00 && (*p)[0] == '\\' && (*p)[1] == 'u') {
			c = 0x10000 + ((c - 0xd800) << 10) + (hex4(j, *p + 2) - 0xdc00);
			*p += 6;
		}
		return put_utf8(out, c);
	}
	if (**p == '\0' || at == NULL)
		fail(j, "wrong escape");
	*out++ = to[at - from];
	++*p;
	return out;
}

/* A string at its opening quote, decoded in place; returns the position behind it. */
static char *read_string(const struct jsonl *j, char *p, char **value, size_t *len)
{
	char *out = ++p;

	*value = out;
	while (*p != '"') {
		if (*p == '\0')
			fail(j, "string without an end");
		if (*p == '\\') {
			p++;
			out = unescape(j, out, &p);
		} else {
			*out++ = *p++;
		}
	}
	*len = (size_t)(out - *value);
	*out = '\0';
	return p + 1;
}

static char *skip_blanks(char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n')
		p++;
	return p;
}

static char *read_value(const struct jsonl *j, char *p, struct jsonl_field *f)
{
	char *unused;
	size_t n;

	f->value = NULL;
	f->len = 0;
	if (*p == '"')
		return read_string(j, p, &f->value, &f->len);
	if (*p == '[') {
		while (*(p = skip_blanks(p + 1)) != ']') {
			p = *p == '"' ? read_string(j, p, &unused, &n) : p + strcspn(p, ",]");
			p = skip_blanks(p);
			if (*p == ']')
				break;
			if (*p != ',')
				fail(j, "wrong array");
		}
		return p + 1;
	}
	n = strcspn(p, ",} ");
	if (n == 0)
		fail(j, "value expected");
	if (strncmp(p, "null", 4) != 0) {
		f->value = p;
		f->len = n;
	}
	return p + n;
}

bool jsonl_next(struct jsonl *j)
{
	struct jsonl_field *f;
	char *p, *key;
	size_t len;

	if (getline(&j->line, &j->line_cap, j->f) <= 0)
		return false;
	j->line_no++;
	j->n_fields = 0;
	p = skip_blanks(j->line);
	if (*p++ != '{')
		fail(j, "object expected");
	for (p = skip_blanks(p); *p != '}'; p = skip_blanks(p)) {
		if (j->n_fields == JSONL_FIELDS_MAX)
			fail(j, "too many fields");
		if (*p != '"')
			fail(j, "key expected");
		f = &j->fields[j->n_fields++];
		p = skip_blanks(read_string(j, p, &key, &len));
		if (*p != ':' || len > JSONL_KEY_MAX)
			fail(j, "wrong key");
		memcpy(f->key, key, len);
		f->key[len] = '\0';
		p = skip_blanks(read_value(j, skip_blanks(p + 1), f));
		if (*p == ',')
			p++;
		else if (*p != '}')
			fail(j, "comma or end expected");
	}
	return true;
}

const char *jsonl_get(const struct jsonl *j, const char *key, size_t *len)
{
	for (size_t i = 0; i < j->n_fields; i++)
		if (strcmp(j->fields[i].key, key) == 0) {
			*len = j->fields[i].len;
			return j->fields[i].value;
		}
	return NULL;
}

bool jsonl_is(const struct jsonl *j, const char *key, const char *value)
{
	size_t len;
	const char *v = jsonl_get(j, key, &len);

	return v != NULL && len == strlen(value) && memcmp(v, value, len) == 0;
}
