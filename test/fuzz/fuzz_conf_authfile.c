/*
 * The auth file. Every slice lies inside the input; the users of a file without errors, written
 * down again, are the same users; no finding shows a secret.
 */
#include "auth/authfile.h"
#include "auth/users.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hash_key key = {5, 6};

static void try_items(const char *text, size_t len)
{
	struct authfile f = authfile_of(text, len);
	struct authfile_item item;

	do {
		const char *before = f.p;

		item = authfile_next(&f);
		PANIC_IF(item.kind != AUTHFILE_END && f.p == before);
		PANIC_IF((item.kind == AUTHFILE_BAD) != (item.expected != NULL));
		PANIC_IF(item.user != NULL &&
			 (item.user < before || item.user + item.user_len > f.p));
		PANIC_IF(item.kind == AUTHFILE_USER && item.secret + item.secret_len > f.p);
	} while (item.kind != AUTHFILE_END);
	PANIC_IF(f.p != f.end);
}

static char *put_quoted(char *to, const char *s)
{
	*to++ = '"';
	for (; *s != '\0'; s++) {
		*to++ = *s;
		if (*s == '"')
			*to++ = '"';
	}
	*to++ = '"';
	return to;
}

static void try_again(const struct auth_users *u, size_t size)
{
	char *text = malloc(4 * size + 64), *to = text;
	struct auth_users *again;
	struct findings found;

	PANIC_IF(text == NULL);
	for (size_t i = 0; i < auth_users_count(u); i++) {
		const struct auth_user *user = auth_users_at(u, i);

		PANIC_IF(auth_users_find(u, user->name) != user);
		PANIC_IF((user->verifier != NULL) != (user->kind == SECRET_SCRAM));
		to = put_quoted(to, user->name);
		*to++ = ' ';
		to = put_quoted(to, user->secret);
		*to++ = '\n';
	}
	findings_init(&found);
	PANIC_IF(auth_users_parse(text, (size_t)(to - text), "f", &key, &again, &found) != OK);
	PANIC_IF(found.n != 0 || auth_users_count(again) != auth_users_count(u));
	for (size_t i = 0; i < auth_users_count(u); i++) {
		PANIC_IF(strcmp(auth_users_at(u, i)->name, auth_users_at(again, i)->name) != 0);
		PANIC_IF(strcmp(auth_users_at(u, i)->secret, auth_users_at(again, i)->secret) != 0);
	}
	findings_fini(&found);
	auth_users_free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auth_users *u;
	struct findings found;

	try_items((const char *)data, size);
	findings_init(&found);
	if (auth_users_parse((const char *)data, size, "f", &key, &u, &found) == OK)
		try_again(u, size);
	else
		PANIC_IF(found.n_errors == 0);
	for (size_t i = 0; i < found.n; i++)
		PANIC_IF(found.items[i].value != NULL);
	findings_fini(&found);
	auth_users_free(u);
	return 0;
}
