/* fuzz_proto - what the fuzz targets of src/proto share. */
#ifndef PGWEIR_FUZZ_PROTO_H
#define PGWEIR_FUZZ_PROTO_H

#include "base/rd.h"
#include "base/status.h"
#include "base/wr.h"

#define FUZZ_INPUT_MAX 16384u /* bytes; longer inputs are not tried */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `len` bytes at `p` lie inside `all`. */
static inline void fuzz_inside(struct rd all, const void *p, size_t len)
{
	const uint8_t *start = p;

	PANIC_IF(start < all.p || start > all.p + all.left);
	PANIC_IF(len > (size_t)(all.p + all.left - start));
}

/* The string at `s` is `len` long and lies inside `all`, its NUL too. */
static inline void fuzz_inside_str(struct rd all, const char *s, size_t len)
{
	fuzz_inside(all, s, len + 1);
	PANIC_IF(strlen(s) != len);
}

/* What was built is these bytes. */
static inline void fuzz_same(const struct wr *w, const uint8_t *p, size_t len)
{
	PANIC_IF(w->bad);
	PANIC_IF(w->len != len);
	PANIC_IF(memcmp(w->buf, p, len) != 0);
}

#endif
