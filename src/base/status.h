/*
 * status - the result of everything that can fail, and the two ways to fail.
 * Wrong input and a poor environment are an `enum status`; our own bug is PANIC_IF.
 */
#ifndef PGWEIR_BASE_STATUS_H
#define PGWEIR_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum status {
	OK = 0,
	E_AGAIN,    /* not enough input yet, or not now; nothing was consumed */
	E_PROTO,    /* the bytes break the protocol or the format */
	E_LIMIT,    /* a configured or documented bound was met */
	E_NOMEM,    /* no memory */
	E_IO,       /* the system or the network failed; errno tells */
	E_CLOSED,   /* the other side has ended */
	E_INVALID,  /* well-formed, but not an acceptable value */
	E_NOTFOUND, /* no such thing */
	E_EXISTS,   /* there is one already */
	E_AUTH,     /* proof of identity failed */
};

/* Name of `st` for a log line: "ok", "again", "proto" … Never NULL. */
const char *status_name(enum status st);

#define MUST_USE          __attribute__((warn_unused_result))
#define COLD              __attribute__((cold)) /* seldom called: so is what leads there */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/*
 * Our own mistake: print the condition and the place, then abort. Stays on in release builds.
 * Nothing that a peer or a file sends may be able to make `cond` true.
 */
#define PANIC_IF(cond)                                       \
	do {                                                 \
		if (__builtin_expect(!!(cond), 0))           \
			panic_at(__FILE__, __LINE__, #cond); \
	} while (0)

_Noreturn COLD void panic_at(const char *file, int line, const char *cond);

#endif
