/*
 * WAL positions as text: what is read and written again reads as the same; canonical text comes
 * back byte for byte.
 */
#include "route/lsn.h"

#include <string.h>

#define INPUT_LEN_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[INPUT_LEN_MAX + 1], again[LSN_TEXT_MAX];
	uint64_t lsn, same;

	if (size > INPUT_LEN_MAX)
		return 0;
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (lsn_parse(text, &lsn) != OK)
		return 0;
	PANIC_IF(strspn(text, "0123456789abcdefABCDEF/") != strlen(text));
	lsn_format(lsn, again);
	PANIC_IF(strlen(again) > strlen(text));
	PANIC_IF(lsn_parse(again, &same) != OK || same != lsn);
	return 0;
}
