#include "control/exposition.h"

#include <stdio.h>

#include "control/rows.h"

void exposition_head(struct wr *w, const char *name, const char *type, const char *help)
{
	wr_str(w, "# HELP ");
	wr_str(w, name);
	wr_u8(w, ' ');
	wr_str(w, help);
	wr_str(w, "\n# TYPE ");
	wr_str(w, name);
	wr_u8(w, ' ');
	wr_str(w, type);
	wr_u8(w, '\n');
}

static void put_label_value(struct wr *w, const char *s)
{
	size_t n;

	for (; *s != '\0'; s += n) {
		n = rows_utf8_len(s);
		if (n == 0) {
			wr_str(w, "\xef\xbf\xbd"); /* U+FFFD: labels are UTF-8 */
			n = 1;
		} else if (*s == '\n') {
			wr_str(w, "\\n");
		} else {
			if (*s == '"' || *s == '\\')
				wr_u8(w, '\\');
			wr_bytes(w, s, n);
		}
	}
}

static void put_name(struct wr *w, const char *name, const char *suffix, const struct labels *l)
{
	wr_str(w, name);
	wr_str(w, suffix);
	for (unsigned i = 0; i < l->n; i++) {
		wr_u8(w, i == 0 ? '{' : ',');
		wr_str(w, l->at[i].name);
		wr_str(w, "=\"");
		put_label_value(w, l->at[i].value);
		wr_u8(w, '"');
	}
	wr_str(w, l->n != 0 ? "} " : " ");
}

static void put_u64(struct wr *w, uint64_t v)
{
	char buf[24];

	snprintf(buf, sizeof buf, "%llu\n", (unsigned long long)v);
	wr_str(w, buf);
}

/* Exact: no detour over floating point. */
static const char *seconds_text(uint64_t us, char buf[32])
{
	snprintf(buf, 32, "%llu.%06llu", (unsigned long long)(us / 1000000u),
		(unsigned long long)(us % 1000000u));
	return buf;
}

static void put_seconds(struct wr *w, uint64_t us)
{
	char buf[32];

	wr_str(w, seconds_text(us, buf));
	wr_u8(w, '\n');
}

void exposition_u64(struct wr *w, const char *name, const struct labels *l, uint64_t v)
{
	put_name(w, name, "", l);
	put_u64(w, v);
}

void exposition_seconds(struct wr *w, const char *name, const struct labels *l, uint64_t us)
{
	put_name(w, name, "", l);
	put_seconds(w, us);
}

void exposition_hist(
	struct wr *w, const char *name, const struct labels *l, const struct gather_hist *h)
{
	struct labels with_le = *l;
	char le[32] = "+Inf";

	labels_add(&with_le, "le", le);
	for (unsigned i = 0; i < GATHER_BUCKETS; i++) {
		seconds_text(gather_bucket_us(i), le);
		put_name(w, name, "_bucket", &with_le);
		put_u64(w, h->le[i]);
	}
	strcpy(le, "+Inf");
	put_name(w, name, "_bucket", &with_le);
	put_u64(w, h->count);
	put_name(w, name, "_sum", l);
	put_seconds(w, h->sum_us);
	put_name(w, name, "_count", l);
	put_u64(w, h->count);
}
