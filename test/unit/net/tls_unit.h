/*
 * tls_unit - certificates for the tests of TLS, made anew in a temporary folder: an authority, a
 * server (names db.example and 127.0.0.1), a client (common name alice), and a stranger whom the
 * authority has not signed.
 */
#ifndef PGWEIR_TEST_TLS_UNIT_H
#define PGWEIR_TEST_TLS_UNIT_H

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/tls.h"

struct pki {
	char dir[64];
	char ca[96], server[96], server_key[96], client[96], client_key[96], stranger[96],
		stranger_key[96];
};

static inline void pki_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ck_assert_ptr_nonnull(ext);
	ck_assert_int_eq(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* A certificate for `key`; without an issuer it signs itself as an authority. */
static inline X509 *pki_certificate(
	EVP_PKEY *key, const char *cn, int cn_len, const char *names, X509 *issuer, EVP_PKEY *by)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)cn, cn_len, -1, 0);
	X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
	if (issuer == NULL)
		pki_extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
	if (names != NULL)
		pki_extend(cert, issuer != NULL ? issuer : cert, NID_subject_alt_name, names);
	ck_assert_int_gt(X509_sign(cert, by != NULL ? by : key, EVP_sha256()), 0);
	return cert;
}

static inline void pki_write(const char *path, X509 *cert, EVP_PKEY *key)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	if (cert != NULL)
		ck_assert_int_eq(PEM_write_X509(f, cert), 1);
	if (key != NULL)
		ck_assert_int_eq(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

static inline void pki_issue(const char *cert_path, const char *key_path, const char *cn,
	int cn_len, const char *names, X509 *issuer, EVP_PKEY *by)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = pki_certificate(key, cn, cn_len, names, issuer, by);

	pki_write(cert_path, cert, NULL);
	pki_write(key_path, NULL, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static inline void pki_new(struct pki *p)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256");
	X509 *ca = pki_certificate(ca_key, "authority", -1, NULL, NULL, NULL);

	strcpy(p->dir, "/tmp/pgweir-tls-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(p->ca, sizeof p->ca, "%s/ca.pem", p->dir);
	snprintf(p->server, sizeof p->server, "%s/server.pem", p->dir);
	snprintf(p->server_key, sizeof p->server_key, "%s/server.key", p->dir);
	snprintf(p->client, sizeof p->client, "%s/client.pem", p->dir);
	snprintf(p->client_key, sizeof p->client_key, "%s/client.key", p->dir);
	snprintf(p->stranger, sizeof p->stranger, "%s/stranger.pem", p->dir);
	snprintf(p->stranger_key, sizeof p->stranger_key, "%s/stranger.key", p->dir);
	pki_write(p->ca, ca, NULL);
	pki_issue(
		p->server, p->server_key, "server", -1, "DNS:db.example,IP:127.0.0.1", ca, ca_key);
	pki_issue(p->client, p->client_key, "alice", -1, NULL, ca, ca_key);
	pki_issue(p->stranger, p->stranger_key, "bob", -1, "DNS:db.example", NULL, NULL);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
}

static inline void pki_free(struct pki *p)
{
	unlink(p->ca);
	unlink(p->server);
	unlink(p->server_key);
	unlink(p->client);
	unlink(p->client_key);
	unlink(p->stranger);
	unlink(p->stranger_key);
	rmdir(p->dir);
}

static inline struct tls_conf pki_server(const struct pki *p)
{
	return (struct tls_conf){.server = true, .cert_file = p->server, .key_file = p->server_key};
}

static inline struct tls_ctx *ctx_for_test(const struct tls_conf *conf)
{
	char err[TLS_ERR_MAX];
	struct tls_ctx *ctx;
	enum status st = tls_ctx_new(conf, &ctx, err);

	ck_assert_msg(st == OK, "%s: %s", status_name(st), err);
	return ctx;
}

#endif
