/*
 * The PROXY protocol's header. Its length lies inside the input and its bounds, every shorter input
 * is incomplete, and bytes behind it change nothing.
 */
#include "proto/proxy.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h, again;
	enum status st = proxy_read(data, size, &h);

	if (st == E_NOTFOUND)
		PANIC_IF(size >= 6 && memcmp(data, "PROXY ", 6) == 0);
	if (st == E_AGAIN)
		PANIC_IF(size >= PROXY_V2_MAX);
	if (st != OK)
		return 0;
	PANIC_IF(h.len == 0 || h.len > size || h.len > PROXY_V2_MAX);
	PANIC_IF(data[0] == 'P' && h.len > PROXY_V1_MAX);
	PANIC_IF(proxy_read(data, h.len, &again) != OK);
	PANIC_IF(again.kind != h.kind || again.len != h.len || again.source_port != h.source_port);
	PANIC_IF(memcmp(again.source, h.source, sizeof h.source) != 0);
	PANIC_IF(proxy_read(data, h.len - 1, &again) != E_AGAIN);
	return 0;
}
