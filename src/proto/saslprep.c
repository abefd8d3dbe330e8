#include "proto/saslprep.h"

#include <string.h>

enum status saslprep(const char *password, char *out, size_t cap)
{
	size_t len = strlen(password);

	if (len >= cap)
		return E_LIMIT;
	memcpy(out, password, len + 1);
	return OK;
}
