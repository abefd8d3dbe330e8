#include "proto/shape.h"

enum status shape_read(const struct hash_key *key, struct rd body, uint64_t *shape)
{
	uint16_t n = rd_u16(&body);
	uint64_t h[3] = {n, 0, 0};

	for (uint16_t i = 0; i < n && !body.bad; i++) {
		const char *name = rd_cstr(&body);

		rd_skip(&body, 4 + 2); /* table and number of the column there */
		h[1] = (uint64_t)rd_u32(&body) << 32;
		rd_skip(&body, 2); /* length: the type tells */
		h[1] |= rd_u32(&body);
		rd_skip(&body, 2); /* format */
		if (body.bad)
			break;
		h[2] = hash_bytes(key, name, strlen(name));
		h[0] = hash_bytes(key, h, sizeof h);
	}
	if (body.bad || body.left != 0)
		return E_PROTO;
	*shape = h[0] > SHAPE_NO_DATA ? h[0] : SHAPE_NO_DATA + 1;
	return OK;
}
