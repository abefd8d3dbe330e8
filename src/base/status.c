#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>

const char *status_name(enum status st)
{
	switch (st) {
	case OK:
		return "ok";
	case E_AGAIN:
		return "again";
	case E_PROTO:
		return "proto";
	case E_LIMIT:
		return "limit";
	case E_NOMEM:
		return "nomem";
	case E_IO:
		return "io";
	case E_CLOSED:
		return "closed";
	case E_INVALID:
		return "invalid";
	case E_NOTFOUND:
		return "notfound";
	case E_EXISTS:
		return "exists";
	case E_AUTH:
		return "auth";
	}
	return "unknown";
}

void panic_at(const char *file, int line, const char *cond)
{
	fprintf(stderr, "PANIC %s:%d: %s\n", file, line, cond);
	abort();
}
