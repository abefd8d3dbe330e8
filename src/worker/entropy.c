#include "worker/entropy.h"

#include <string.h>
#include <unistd.h>

enum status entropy_take(struct entropy *e, void *p, size_t n)
{
	PANIC_IF(n > sizeof e->bytes);
	if (n > e->left) {
		e->left = 0;
		if (getentropy(e->bytes, sizeof e->bytes) != 0)
			return E_NOMEM;
		e->left = sizeof e->bytes;
	}
	e->left -= n;
	memcpy(p, e->bytes + e->left, n);
	explicit_bzero(e->bytes + e->left, n);
	return OK;
}
