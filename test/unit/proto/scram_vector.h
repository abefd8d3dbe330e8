/* scram_vector - the example of RFC 7677, section 3: user "user", password "pencil". */
#ifndef PGWEIR_TEST_SCRAM_VECTOR_H
#define PGWEIR_TEST_SCRAM_VECTOR_H

#include "bytes.h"
#include "proto/base64.h"
#include "proto/scram.h"

#define VECTOR_NONCE        "rOprNGfwEbeRWgbNEkqO"
#define VECTOR_NONCES       "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define VECTOR_SALT         "W22ZaJ0SNY7soEsUEjb6gQ=="
#define VECTOR_FIRST_BARE   "n=user,r=" VECTOR_NONCE
#define VECTOR_SERVER_FIRST "r=" VECTOR_NONCES ",s=" VECTOR_SALT ",i=4096"
#define VECTOR_FINAL_BARE   "c=biws,r=" VECTOR_NONCES
#define VECTOR_PROOF        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define VECTOR_FINAL        VECTOR_FINAL_BARE ",p=" VECTOR_PROOF
#define VECTOR_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

/* Its verifier, made with Python's hashlib. */
#define VECTOR_VERIFIER                                                                   \
	"SCRAM-SHA-256$4096:" VECTOR_SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static inline struct scram_verifier vector_verifier(void)
{
	struct scram_verifier v;

	ck_assert_int_eq(scram_verifier_read(VECTOR_VERIFIER, &v), OK);
	return v;
}

static inline struct scram_keys vector_keys(void)
{
	struct scram_verifier v = vector_verifier();
	struct scram_keys k;

	ck_assert_int_eq(scram_derive("pencil", &v.salt, &k), OK);
	return k;
}

#endif
