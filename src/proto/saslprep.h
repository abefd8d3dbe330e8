/*
 * saslprep - passwords as PostgreSQL prepares them for SCRAM.
 * PostgreSQL applies SASLprep (RFC 4013), but takes a password as it is when it is ASCII, and also
 * when it cannot be prepared: not UTF-8, or with prohibited or unassigned characters.
 * Owns:    nothing. The tables are libidn's, of Unicode 3.2 as RFC 3454 says.
 * Bounds:  the caller's buffer.
 */
#ifndef PGWEIR_PROTO_SASLPREP_H
#define PGWEIR_PROTO_SASLPREP_H

#include <stddef.h>

#include "base/status.h"

/*
 * Put the prepared password, NUL-terminated, into out.
 * Errors: E_LIMIT it does not fit `cap` bytes; E_NOMEM.
 */
enum status saslprep(const char *password, char *out, size_t cap) MUST_USE;

#endif
