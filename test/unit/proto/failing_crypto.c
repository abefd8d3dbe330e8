#include "failing_crypto.h"

#include <openssl/evp.h>
#include <stdbool.h>

static long n_left = -1;

void failing_crypto_after(long n)
{
	n_left = n;
}

static bool may_succeed(void)
{
	if (n_left > 0)
		n_left--;
	else if (n_left == 0)
		return false;
	return true;
}

/* The linker gives calls of NAME to __wrap_NAME, and NAME itself as __real_NAME. */
int __real_EVP_MAC_init(
	EVP_MAC_CTX *ctx, const unsigned char *key, size_t key_len, const OSSL_PARAM *params);
int __wrap_EVP_MAC_init(
	EVP_MAC_CTX *ctx, const unsigned char *key, size_t key_len, const OSSL_PARAM *params);
int __wrap_EVP_MAC_init(
	EVP_MAC_CTX *ctx, const unsigned char *key, size_t key_len, const OSSL_PARAM *params)
{
	return may_succeed() ? __real_EVP_MAC_init(ctx, key, key_len, params) : 0;
}

EVP_MAC_CTX *__real_EVP_MAC_CTX_new(EVP_MAC *mac);
EVP_MAC_CTX *__wrap_EVP_MAC_CTX_new(EVP_MAC *mac);
EVP_MAC_CTX *__wrap_EVP_MAC_CTX_new(EVP_MAC *mac)
{
	return may_succeed() ? __real_EVP_MAC_CTX_new(mac) : NULL;
}

int __real_PKCS5_PBKDF2_HMAC(const char *password, int password_len, const unsigned char *salt,
	int salt_len, int iterations, const EVP_MD *md, int out_len, unsigned char *out);
int __wrap_PKCS5_PBKDF2_HMAC(const char *password, int password_len, const unsigned char *salt,
	int salt_len, int iterations, const EVP_MD *md, int out_len, unsigned char *out);
int __wrap_PKCS5_PBKDF2_HMAC(const char *password, int password_len, const unsigned char *salt,
	int salt_len, int iterations, const EVP_MD *md, int out_len, unsigned char *out)
{
	return may_succeed() ? __real_PKCS5_PBKDF2_HMAC(password, password_len, salt, salt_len,
				       iterations, md, out_len, out)
			     : 0;
}

EVP_MD_CTX *__real_EVP_MD_CTX_new(void);
EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void);
EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void)
{
	return may_succeed() ? __real_EVP_MD_CTX_new() : NULL;
}

int __real_EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *md, ENGINE *engine);
int __wrap_EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *md, ENGINE *engine);
int __wrap_EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *md, ENGINE *engine)
{
	return may_succeed() ? __real_EVP_DigestInit_ex(ctx, md, engine) : 0;
}

int __real_EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *p, size_t n);
int __wrap_EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *p, size_t n);
int __wrap_EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *p, size_t n)
{
	return may_succeed() ? __real_EVP_DigestUpdate(ctx, p, n) : 0;
}

int __real_EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *out_len);
int __wrap_EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *out_len);
int __wrap_EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *out_len)
{
	return may_succeed() ? __real_EVP_DigestFinal_ex(ctx, out, out_len) : 0;
}
