#include "auth/users.h"

#include <stdlib.h>
#include <string.h>

#include "auth/authfile.h"
#include "conf/chars.h"
#include "conf/conf.h"
#include "proto/md5auth.h"

#define ITERATIONS_MAX 16u /* different counts that are told apart; the first ones of the file */

struct auth_users {
	struct arena arena; /* names, secrets, verifiers, the list */
	struct hash_key key;
	struct map by_name;
	struct auth_user *list; /* in the order of the file */
	size_t n;
	struct auth_usual usual;
};

struct parse {
	struct auth_users *u;
	const char *file;
	struct findings *found;
};

enum secret_kind secret_kind_of(const char *secret)
{
	static const char scram[] = SCRAM_MECHANISM "$";

	if (*secret == '\0')
		return SECRET_NONE;
	if (strncmp(secret, scram, sizeof scram - 1) == 0)
		return SECRET_SCRAM;
	return md5auth_is_hash(secret) ? SECRET_MD5 : SECRET_PLAIN;
}

void secret_free(char *secret)
{
	if (secret != NULL)
		scram_wipe(secret, strlen(secret));
	free(secret);
}

enum status auth_user_of(
	const char *name, const char *secret, struct scram_verifier *room, struct auth_user *out)
{
	enum status st = OK;

	*out = (struct auth_user){.name = name, .secret = secret, .kind = secret_kind_of(secret)};
	if (out->kind == SECRET_SCRAM)
		st = scram_verifier_read(secret, room);
	out->verifier = out->kind == SECRET_SCRAM ? room : NULL;
	return st == OK || st == E_NOMEM ? st : E_INVALID;
}

/* --- the table --- */

static uint64_t hash_of(const struct auth_users *u, const char *name)
{
	return hash_bytes(&u->key, name, strlen(name));
}

static bool has_name(const void *item, const void *key)
{
	const struct auth_user *user = item;

	return strcmp(user->name, key) == 0;
}

static struct auth_user *find(const struct auth_users *u, const char *name)
{
	return map_find(&u->by_name, hash_of(u, name), has_name, name);
}

static enum status add(struct auth_users *u, const struct auth_user *user)
{
	u->list[u->n] = *user;
	if (map_insert(&u->by_name, hash_of(u, user->name), &u->list[u->n]) != OK)
		return E_NOMEM;
	u->n++;
	return OK;
}

/* --- one line --- */

static void complain(
	struct parse *p, enum finding_kind kind, uint32_t line, const char *name, const char *text)
{
	struct finding_at at = {.file = p->file, .line = line, .key = name};

	findings_add(p->found, kind, &at, "%s", text);
}

/* The verifier in a secret. OK with NULL: it is malformed, which is told. */
static enum status read_verifier(struct parse *p, uint32_t line, const struct auth_user *user,
	const struct scram_verifier **out)
{
	struct scram_verifier *v = arena_take(&p->u->arena, sizeof *v);
	enum status st;

	*out = NULL;
	if (v == NULL)
		return E_NOMEM;
	st = scram_verifier_read(user->secret, v);
	if (st == E_NOMEM)
		return st;
	if (st == OK)
		*out = v;
	else
		complain(p, FINDING_ERROR, line, user->name,
			"expected SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, as in the "
			"server's pg_authid");
	return OK;
}

static enum status add_user(struct parse *p, uint32_t line, struct auth_user *user)
{
	struct auth_user *before;
	enum status st;

	user->kind = secret_kind_of(user->secret);
	if (user->kind == SECRET_SCRAM) {
		if ((st = read_verifier(p, line, user, &user->verifier)) != OK)
			return st;
		if (user->verifier == NULL)
			return OK;
	}
	if ((before = find(p->u, user->name)) == NULL)
		return add(p->u, user);
	complain(p, FINDING_NOTE, line, user->name, "listed before; this line counts");
	*before = *user;
	return OK;
}

static enum status read_item(struct parse *p, const struct authfile_item *item)
{
	struct arena *a = &p->u->arena;
	struct auth_user user = {.verifier = NULL};

	user.name = chars_undouble(item->user, item->user_len, '"', a);
	user.secret = chars_undouble(item->secret, item->secret_len, '"', a);
	if (user.name == NULL || user.secret == NULL)
		return E_NOMEM;
	if (item->kind == AUTHFILE_BAD)
		complain(p, FINDING_ERROR, item->line, user.name, item->expected);
	else if (*user.name == '\0' || strlen(user.name) > CONF_NAME_MAX)
		complain(p, FINDING_ERROR, item->line, user.name,
			"expected a user's name of 1 to 127 bytes");
	else if (strlen(user.secret) > AUTH_SECRET_MAX)
		complain(p, FINDING_ERROR, item->line, user.name,
			"expected a secret of at most 1023 bytes");
	else
		return add_user(p, item->line, &user);
	return OK;
}

/* --- the whole file --- */

static size_t count_items(const char *text, size_t len)
{
	struct authfile f = authfile_of(text, len);
	size_t n = 0;

	while (authfile_next(&f).kind != AUTHFILE_END)
		n++;
	return n;
}

static uint32_t most_frequent_iterations(const struct auth_users *u)
{
	struct {
		uint32_t iterations;
		size_t n;
	} counts[ITERATIONS_MAX] = {{0, 0}};
	size_t best = 0;

	for (size_t i = 0; i < u->n; i++) {
		const struct scram_verifier *v = u->list[i].verifier;

		for (size_t j = 0; v != NULL && j < ITERATIONS_MAX; j++) {
			if (counts[j].n != 0 && counts[j].iterations != v->salt.iterations)
				continue;
			counts[j].iterations = v->salt.iterations;
			counts[j].n++;
			break;
		}
	}
	for (size_t j = 1; j < ITERATIONS_MAX; j++)
		if (counts[j].n > counts[best].n)
			best = j;
	return counts[best].iterations;
}

static void find_usual(struct auth_users *u)
{
	size_t n_scram = 0;

	for (size_t i = 0; i < u->n; i++)
		n_scram += u->list[i].kind == SECRET_SCRAM;
	u->usual.md5 = 2 * n_scram < u->n;
	u->usual.iterations = most_frequent_iterations(u);
}

static enum status parse(struct parse *p, const char *text, size_t len)
{
	struct authfile f = authfile_of(text, len);
	size_t n = count_items(text, len), n_errors = p->found->n_errors;
	struct authfile_item item;
	enum status st;

	if (n > AUTH_USERS_MAX) {
		complain(p, FINDING_ERROR, 0, NULL, "expected at most 1000000 users");
		return E_INVALID;
	}
	p->u->list = arena_take_array(&p->u->arena, n, sizeof *p->u->list);
	if (p->u->list == NULL)
		return E_NOMEM;
	while ((item = authfile_next(&f)).kind != AUTHFILE_END)
		if ((st = read_item(p, &item)) != OK)
			return st;
	find_usual(p->u);
	return p->found->n_errors == n_errors ? OK : E_INVALID;
}

enum status auth_users_parse(const char *text, size_t len, const char *file,
	const struct hash_key *key, struct auth_users **out, struct findings *found)
{
	struct auth_users *u = calloc(1, sizeof *u);
	struct parse p = {.u = u, .file = file, .found = found};
	enum status st;

	*out = NULL;
	if (u == NULL)
		return E_NOMEM;
	arena_init(&u->arena);
	map_init(&u->by_name);
	u->key = *key;
	if ((st = parse(&p, text, len)) == OK)
		*out = u;
	else
		auth_users_free(u);
	return st;
}

void auth_users_free(struct auth_users *u)
{
	if (u == NULL)
		return;
	map_fini(&u->by_name);
	arena_wipe(&u->arena);
	arena_fini(&u->arena);
	free(u);
}

const struct auth_user *auth_users_find(const struct auth_users *u, const char *name)
{
	return find(u, name);
}

const struct auth_user *auth_users_at(const struct auth_users *u, size_t i)
{
	return i < u->n ? &u->list[i] : NULL;
}

size_t auth_users_count(const struct auth_users *u)
{
	return u->n;
}

struct auth_usual auth_users_usual(const struct auth_users *u)
{
	return u->usual;
}
