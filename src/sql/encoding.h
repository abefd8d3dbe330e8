/*
 * encoding - client_encoding as far as the lexer has to know it.
 * The server converts a text before it parses it, so that characters whose second byte looks like
 * ASCII never reach its lexer. A text that has no byte >= 0x80 reads the same in every encoding;
 * in the others each such character is masked here before it is read.
 * Owns:    nothing. Touches: nothing else; no allocation.
 * Source:  PostgreSQL src/common/encnames.c (names), src/common/wchar.c (lengths),
 *          src/backend/utils/mb/mbutils.c, pg_client_to_server.
 */
#ifndef PGWEIR_SQL_ENCODING_H
#define PGWEIR_SQL_ENCODING_H

#include "base/status.h"

#define ENCODING_TEXT_MAX 4096u /* bytes of a text that is masked; longer ones are not judged */

/* SQL_ENC_* flags (lexer.h) of an encoding by any name that the server takes; NULL: not known. */
uint32_t encoding_opts(const char *name);

/*
 * Copy len bytes of a text and its NUL to `to`, with 0x80 for each byte of a character that has
 * several. opts: of encoding_opts. False: the encoding's characters are not known, or something is
 * none of them (the server refuses the text); what `to` holds then means nothing.
 */
bool encoding_mask(char *to, const char *text, size_t len, uint32_t opts) MUST_USE;

#endif
