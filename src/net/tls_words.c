#include "net/tls_words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Ciphers of TLS 1.2; certificates and encryption are never left out. */
#define CIPHERS_SECURE "HIGH:!aNULL:!eNULL:!3DES:!MD5:!RC4:!PSK:!SRP"
#define CIPHERS_ALL    "ALL:!aNULL:!eNULL"

static bool is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* Older versions can be named, and are never offered. */
enum { OLD_10 = 4, OLD_11 = 8 };

static unsigned protocol_bits(const char *word, size_t len)
{
	static const struct {
		const char *name;
		unsigned bits;
	} names[] = {
		{"secure", TLS_WORDS_12 | TLS_WORDS_13},
		{"all", OLD_10 | OLD_11 | TLS_WORDS_12 | TLS_WORDS_13},
		{"legacy", OLD_10 | OLD_11 | TLS_WORDS_12 | TLS_WORDS_13},
		{"tlsv1", OLD_10 | OLD_11 | TLS_WORDS_12 | TLS_WORDS_13},
		{"tlsv1.0", OLD_10},
		{"tlsv1.1", OLD_11},
		{"tlsv1.2", TLS_WORDS_12},
		{"tlsv1.3", TLS_WORDS_13},
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i].name) == len && strncasecmp(names[i].name, word, len) == 0)
			return names[i].bits;
	return 0;
}

enum status tls_words_protocols(const char *list, unsigned *bits, char *err)
{
	const char *sep = ",: \t";

	*bits = 0;
	if (!is_set(list))
		list = "secure";
	for (const char *p = list + strspn(list, sep); *p != '\0'; p += strspn(p, sep)) {
		bool not = *p == '!';
		size_t len = strcspn(p += not, sep);
		unsigned named = protocol_bits(p, len);

		if (named == 0) {
			(void)snprintf(err, TLS_ERR_MAX,
				"protocols \"%s\": expected secure, all, or tlsv1.2 and tlsv1.3",
				list);
			return E_INVALID;
		}
		*bits = not ? *bits & ~named : *bits | named;
		p += len;
	}
	*bits &= TLS_WORDS_12 | TLS_WORDS_13;
	if (*bits != 0)
		return OK;
	(void)snprintf(err, TLS_ERR_MAX, "protocols \"%s\": TLS before 1.2 is not offered", list);
	return E_INVALID;
}

const char *tls_words_ciphers(const char *ciphers)
{
	static const char *const words[] = {"default", "secure", "normal", "fast"};

	if (!is_set(ciphers))
		return CIPHERS_SECURE;
	if (strcasecmp(ciphers, "all") == 0)
		return CIPHERS_ALL;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcasecmp(ciphers, words[i]) == 0)
			return CIPHERS_SECURE;
	return ciphers;
}
