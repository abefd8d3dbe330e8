/*
 * saslprep - passwords as PostgreSQL prepares them for SCRAM (RFC 4013).
 * PostgreSQL uses a password as it is when it is ASCII, and also when preparation fails (not
 * UTF-8, prohibited or unassigned characters).
 */
#ifndef PGWEIR_PROTO_SASLPREP_H
#define PGWEIR_PROTO_SASLPREP_H

#include "base/status.h"

#define SASLPREP_MAX 4096u /* bytes of `out`, NUL included, that are enough for 1023 bytes */

/*
 * Put the prepared password, NUL-terminated, into out.
 * Errors: E_LIMIT it does not fit `cap`.
 */
enum status saslprep(const char *password, char *out, size_t cap) MUST_USE;

#endif
