/*
 * The cursors: the first half of the input says which reads to make, the second half is read.
 * Every pointer lies inside the input, an error stays and yields zeros only, and what was read
 * before it, written with wr, gives the same bytes again.
 */
#include "base/rd.h"
#include "base/status.h"
#include "base/wr.h"

#define INPUT_LEN_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One read chosen by `op`, and the write that mirrors it. Returns the bytes it should consume. */
static size_t step(struct rd *r, struct wr *w, uint8_t op)
{
	const uint8_t *start = r->p;
	const char *s;

	switch (op % 6) {
	case 0:
		wr_u8(w, rd_u8(r));
		return 1;
	case 1:
		wr_u16(w, rd_u16(r));
		return 2;
	case 2:
		wr_u32(w, rd_u32(r));
		return 4;
	case 3: {
		uint64_t v = rd_u64(r);

		wr_u32(w, (uint32_t)(v >> 32));
		wr_u32(w, (uint32_t)v);
		return 8;
	}
	case 4:
		s = rd_cstr(r);
		PANIC_IF(!r->bad && (const uint8_t *)s != start);
		PANIC_IF(r->bad && s[0] != '\0');
		wr_cstr(w, s);
		return strlen(s) + 1;
	default: {
		size_t n = op / 6u;
		const uint8_t *p = rd_bytes(r, n);

		PANIC_IF(!r->bad && p != start);
		PANIC_IF(r->bad && p != NULL && n != 0);
		wr_bytes(w, p, p != NULL ? n : 0);
		return n;
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *body = data + size / 2;
	struct rd r = rd_of(body, size - size / 2);
	uint8_t built[INPUT_LEN_MAX];
	struct wr w = wr_of(built, sizeof built);

	if (size > INPUT_LEN_MAX)
		return 0;
	for (size_t i = 0; i < size / 2; i++) {
		struct rd before = r;
		size_t len_good = w.len;
		size_t n = step(&r, &w, data[i]);

		PANIC_IF(r.p + r.left != data + size);
		PANIC_IF(before.bad && !r.bad);
		if (r.bad) {
			PANIC_IF(r.left != 0);
			for (; w.len > len_good; w.len--)
				PANIC_IF(built[w.len - 1] != 0);
		} else {
			PANIC_IF((size_t)(r.p - before.p) != n);
			PANIC_IF(before.left - r.left != n);
		}
	}
	PANIC_IF(w.bad || w.len > size - size / 2);
	PANIC_IF(w.len != 0 && memcmp(built, body, w.len) != 0);
	return 0;
}
