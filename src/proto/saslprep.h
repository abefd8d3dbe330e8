/*
 * saslprep - passwords as PostgreSQL prepares them for SCRAM.
 * PostgreSQL applies SASLprep (RFC 4013), but takes a password as it is when it is ASCII, and also
 * when it cannot be prepared: not UTF-8, or with prohibited or unassigned characters.
 * Known difference: a password that is not ASCII is always taken as it is here. That is the same
 * for all text in composed form (NFC); it differs for characters that SASLprep replaces, such as a
 * no-break space, a ligature or a decomposed accent, and such a login fails.
 * Bounds:  the caller's buffer.
 */
#ifndef PGWEIR_PROTO_SASLPREP_H
#define PGWEIR_PROTO_SASLPREP_H

#include "base/status.h"

/*
 * Put the prepared password, NUL-terminated, into out.
 * Errors: E_LIMIT it does not fit `cap` bytes.
 */
enum status saslprep(const char *password, char *out, size_t cap) MUST_USE;

#endif
