/*
 * misuse - which applications hold servers for longer than their statements need, and how: kept by
 * owner (an account), application, kind and statement. Owns:   nothing; the table is embedded.
 * Pure; one thread. Bounds: MISUSE_MAX entries; a new one takes the place of the one that was seen
 * longest ago.
 */
#ifndef PGWEIR_STATE_MISUSE_H
#define PGWEIR_STATE_MISUSE_H

#include "base/status.h"

#define MISUSE_MAX     128u
#define MISUSE_APP_MAX 64u /* bytes of an application's name, or an address, the NUL counted */

enum misuse_kind {
	MISUSE_IDLE_IN_TRANSACTION = 1,
	MISUSE_LONG_TRANSACTION,
	MISUSE_PIN, /* `detail` is its enum pin_cause */
};

struct misuse_key {
	const void *owner; /* compared only */
	uint64_t fingerprint;
	uint8_t kind; /* enum misuse_kind */
	uint8_t detail;
};

struct misuse_client {
	const char *application_name, *addr;
	uint64_t id;
};

struct misuse {
	struct misuse_key key;
	uint64_t n, us, longest_us, seen_us;
	char application_name[MISUSE_APP_MAX];
	/* the last one */
	uint64_t client;
	char addr[MISUSE_APP_MAX];
};

struct misuse_table {
	uint32_t n;
	struct misuse at[MISUSE_MAX];
};

void misuse_note(struct misuse_table *t, const struct misuse_key *key,
	const struct misuse_client *who, uint64_t us, uint64_t now_us);
void misuse_forget(struct misuse_table *t, const void *owner);
void misuse_forget_kind(struct misuse_table *t, enum misuse_kind kind);

#endif
