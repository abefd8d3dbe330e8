/*
 * tls_words - PgBouncer's words for TLS settings. Pure; knows no OpenSSL.
 */
#ifndef PGWEIR_NET_TLS_WORDS_H
#define PGWEIR_NET_TLS_WORDS_H

#include "net/tls.h"

enum { TLS_WORDS_12 = 1, TLS_WORDS_13 = 2 };

/*
 * Versions of a list: "tlsv1.2,tlsv1.3", "secure", "all:!tlsv1.2". NULL and "" are "secure".
 * Errors: E_INVALID an unknown word, or nothing left of 1.2 and later; err[TLS_ERR_MAX] says which.
 */
enum status tls_words_protocols(const char *list, unsigned *bits, char *err) MUST_USE;

/* The OpenSSL list for a word, or the list itself. */
const char *tls_words_ciphers(const char *ciphers);

#endif
