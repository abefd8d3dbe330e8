#include "proto/saslprep.h"

#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

#include "base/text.h"

static enum status put(const char *text, char *out, size_t cap)
{
	size_t len = strlen(text);

	if (len >= cap)
		return E_LIMIT;
	memcpy(out, text, len + 1);
	return OK;
}

enum status saslprep(const char *password, char *out, size_t cap)
{
	char *prepared = NULL;
	enum status st;
	int rc;

	if (text_is_ascii(password))
		return put(password, out, cap);
	rc = stringprep_profile(password, &prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED);
	if (rc == STRINGPREP_MALLOC_ERROR)
		return E_NOMEM;
	/* PostgreSQL refuses an empty result as it does prohibited characters */
	st = put(rc == STRINGPREP_OK && *prepared != '\0' ? prepared : password, out, cap);
	if (rc == STRINGPREP_OK) {
		explicit_bzero(prepared, strlen(prepared));
		free(prepared);
	}
	return st;
}
