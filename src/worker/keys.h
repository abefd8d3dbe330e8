/*
 * keys - the SCRAM keys of passwords that this worker has had derived, so that each is derived
 * once.
 * Owns:   copies of passwords and keys; wiped when freed.
 * Bounds: KEYS_MAX entries, the least recently used goes first.
 */
#ifndef PGWEIR_WORKER_KEYS_H
#define PGWEIR_WORKER_KEYS_H

#include "proto/scram.h"
#include "worker/worker.h"

#define KEYS_MAX 4096u

/* A token of keys_derive: whose it is, and the id of the client or server. */
#define KEYS_TOKEN_CLIENT 0u
#define KEYS_TOKEN_SERVER (1ull << 63)
#define KEYS_TOKEN_ID     (KEYS_TOKEN_SERVER - 1)

struct keys;

enum status keys_new(const struct hash_key *key, struct keys **out) MUST_USE;
void keys_free(struct keys *k);

/* Copy the password's keys to `out`; false if they are not known. */
bool keys_find(struct keys *k, const char *password, const struct scram_salt *salt,
	struct scram_keys *out);
void keys_put(struct keys *k, const char *password, const struct scram_salt *salt,
	const struct scram_keys *keys);

/* TELL_DERIVED has come: remember it. */
struct ask_derive;
void keys_take(struct keys *k, const struct ask_derive *d);

/*
 * Have it derived by a helper (ASK_DERIVE); `token` comes back with TELL_DERIVED.
 * Errors: E_NOMEM; E_LIMIT password or salt too long.
 */
enum status keys_derive(struct worker *w, const char *password, const struct scram_salt *salt,
	uint64_t token) MUST_USE;

#endif
