#include "control/front.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/page_data.h"
#include "proto/base64.h"

#define HASH_LEN    32u
#define HASH_TEXT   (BASE64_LEN(HASH_LEN) + 1)
#define MARK_STYLE  "@STYLE@"
#define MARK_SCRIPT "@SCRIPT@"

static bool hash_text(const unsigned char *p, size_t len, char out[HASH_TEXT])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	struct wr w = wr_of((uint8_t *)out, HASH_TEXT);
	unsigned n = 0;

	if (EVP_Digest(p, len, hash, &n, EVP_sha256(), NULL) != 1 || n != HASH_LEN)
		return false;
	base64_put(&w, hash, n);
	wr_u8(&w, '\0');
	return !w.bad;
}

/* Where `mark` stands in the first `len` bytes of the index; it does. */
static size_t find(const char *mark)
{
	size_t n = strlen(mark);

	for (size_t i = 0; i + n <= sizeof page_index; i++)
		if (memcmp(page_index + i, mark, n) == 0)
			return i;
	PANIC_IF(true);
	return 0;
}

static void put(struct front *f, const unsigned char *p, size_t len)
{
	memcpy(f->page + f->len, p, len);
	f->len += len;
}

enum status front_init(struct front *f)
{
	size_t style = find(MARK_STYLE), script = find(MARK_SCRIPT);
	size_t after_style = style + strlen(MARK_STYLE),
	       after_script = script + strlen(MARK_SCRIPT);
	char style_hash[HASH_TEXT], script_hash[HASH_TEXT];

	*f = (struct front){
		.page = malloc(sizeof page_index + sizeof page_style + sizeof page_script)};
	if (f->page == NULL || !hash_text(page_style, sizeof page_style, style_hash) ||
		!hash_text(page_script, sizeof page_script, script_hash)) {
		front_fini(f);
		return E_NOMEM;
	}
	put(f, page_index, style);
	put(f, page_style, sizeof page_style);
	put(f, page_index + after_style, script - after_style);
	put(f, page_script, sizeof page_script);
	put(f, page_index + after_script, sizeof page_index - after_script);
	snprintf(f->policy, sizeof f->policy,
		"default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; "
		"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		style_hash, script_hash);
	return OK;
}

void front_fini(struct front *f)
{
	free(f->page);
	*f = (struct front){.page = NULL};
}
