/*
 * failing_crypto - OpenSSL's functions that src/proto uses, failing by counter. A test linked with
 * it (local.mk) has them replaced.
 */
#ifndef PGWEIR_TEST_FAILING_CRYPTO_H
#define PGWEIR_TEST_FAILING_CRYPTO_H

/* From now on `n` calls succeed and all after them fail. Negative: none fails. */
void failing_crypto_after(long n);

#endif
