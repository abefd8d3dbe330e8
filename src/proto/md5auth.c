#include "proto/md5auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define MD5_LEN 16u

static void put_hex(char *out, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

/* "md5" and the digits of md5(a + b). */
static enum status md5_of_two(
	const void *a, size_t a_len, const void *b, size_t b_len, struct md5auth *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t md[EVP_MAX_MD_SIZE];
	bool ok;

	if (ctx == NULL)
		return E_NOMEM;
	ok = EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(ctx, a, a_len) == 1 &&
	     EVP_DigestUpdate(ctx, b, b_len) == 1 && EVP_DigestFinal_ex(ctx, md, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return E_INVALID;
	memcpy(out->text, "md5", 3);
	put_hex(out->text + 3, md, MD5_LEN);
	return OK;
}

bool md5auth_is_hash(const char *text)
{
	return strncmp(text, "md5", 3) == 0 && strlen(text) == MD5AUTH_LEN &&
	       strspn(text + 3, "0123456789abcdef") == MD5AUTH_LEN - 3;
}

enum status md5auth_hash(const char *password, const char *user, struct md5auth *out)
{
	return md5_of_two(password, strlen(password), user, strlen(user), out);
}

enum status md5auth_response(
	const char *hash, const uint8_t salt[MD5AUTH_SALT_LEN], struct md5auth *out)
{
	PANIC_IF(!md5auth_is_hash(hash));
	return md5_of_two(hash + 3, MD5AUTH_LEN - 3, salt, MD5AUTH_SALT_LEN, out);
}

bool md5auth_equal(const struct md5auth *expected, const char *got)
{
	return strlen(got) == MD5AUTH_LEN && CRYPTO_memcmp(got, expected->text, MD5AUTH_LEN) == 0;
}
