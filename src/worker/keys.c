#include "worker/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "worker/ask.h"

struct key_entry {
	struct list lru; /* most recently used first */
	uint64_t hash;
	struct scram_salt salt;
	struct scram_keys keys;
	size_t password_len;
	char password[];
};

struct keys {
	struct hash_key key;
	struct map map;
	struct list lru;
};

struct key_wanted {
	const char *password;
	const struct scram_salt *salt;
};

enum status keys_new(const struct hash_key *key, struct keys **out)
{
	struct keys *k = calloc(1, sizeof *k);

	if (k == NULL)
		return E_NOMEM;
	k->key = *key;
	map_init(&k->map);
	list_init(&k->lru);
	*out = k;
	return OK;
}

static void entry_free(struct keys *k, struct key_entry *e)
{
	map_remove(&k->map, e->hash, e);
	list_del(&e->lru);
	scram_wipe(e, sizeof *e + e->password_len);
	free(e);
}

void keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	while (!list_is_empty(&k->lru))
		entry_free(k, list_entry(k->lru.next, struct key_entry, lru));
	map_fini(&k->map);
	free(k);
}

static bool entry_is(const void *item, const void *key)
{
	const struct key_entry *e = item;
	const struct key_wanted *want = key;

	return scram_salt_equal(&e->salt, want->salt) && strcmp(e->password, want->password) == 0;
}

static uint64_t entry_hash(
	const struct keys *k, const char *password, const struct scram_salt *salt)
{
	return hash_bytes(&k->key, password, strlen(password)) ^
	       hash_bytes(&k->key, salt->bytes, salt->len) ^ salt->iterations;
}

static struct key_entry *entry_find(
	struct keys *k, const char *password, const struct scram_salt *salt)
{
	struct key_wanted want = {password, salt};

	return map_find(&k->map, entry_hash(k, password, salt), entry_is, &want);
}

bool keys_find(
	struct keys *k, const char *password, const struct scram_salt *salt, struct scram_keys *out)
{
	struct key_entry *e = entry_find(k, password, salt);

	if (e == NULL)
		return false;
	list_del(&e->lru);
	list_push_front(&k->lru, &e->lru);
	*out = e->keys;
	return true;
}

void keys_put(struct keys *k, const char *password, const struct scram_salt *salt,
	const struct scram_keys *keys)
{
	size_t len = strlen(password) + 1;
	struct key_entry *e;

	if (entry_find(k, password, salt) != NULL)
		return;
	e = calloc(1, sizeof *e + len);
	if (e == NULL)
		return; /* it will be derived again */
	e->hash = entry_hash(k, password, salt);
	e->salt = *salt;
	e->password_len = len;
	e->keys = *keys;
	memcpy(e->password, password, len);
	list_init(&e->lru);
	if (map_insert(&k->map, e->hash, e) != OK) {
		entry_free(k, e);
		return;
	}
	list_push_front(&k->lru, &e->lru);
	if (k->map.n_items > KEYS_MAX)
		entry_free(k, list_entry(k->lru.prev, struct key_entry, lru));
}

void keys_take(struct keys *k, const struct ask_derive *d)
{
	struct scram_salt salt = {.iterations = d->iterations, .len = d->salt_len};

	if (d->status != OK)
		return;
	memcpy(salt.bytes, d->salt, d->salt_len);
	keys_put(k, d->password, &salt, &d->keys);
}

enum status keys_derive(
	struct worker *w, const char *password, const struct scram_salt *salt, uint64_t token)
{
	struct ask_derive *ask;

	if (strlen(password) >= sizeof ask->password || salt->len > sizeof ask->salt)
		return E_LIMIT;
	ask = worker_mail(sizeof *ask, ASK_DERIVE);
	if (ask == NULL)
		return E_NOMEM;
	ask->worker = w->index;
	ask->token = token;
	ask->iterations = salt->iterations;
	ask->salt_len = salt->len;
	memcpy(ask->salt, salt->bytes, salt->len);
	memcpy(ask->password, password, strlen(password) + 1);
	worker_ask(w, &ask->mail);
	return OK;
}
