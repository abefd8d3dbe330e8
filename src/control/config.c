#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/users.h"
#include "net/tls.h"
#include "worker/shared.h"

#define READ_STEP 65536u

/* --- files --- */

/* Append what `fd` has to give. *data grows, at most to max + 1 bytes (the last for a NUL). */
static enum status read_all(int fd, size_t max, char **data, size_t *len)
{
	size_t cap = 0;
	ssize_t n;
	char *more;

	for (;;) {
		if (*len + READ_STEP + 1 > cap) {
			cap = 2 * cap + READ_STEP + 1;
			more = realloc(*data, cap);
			if (more == NULL)
				return E_NOMEM;
			*data = more;
		}
		n = read(fd, *data + *len, READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return E_IO;
		if (n == 0)
			break;
		*len += (size_t)n;
		if (*len > max)
			return E_LIMIT;
	}
	(*data)[*len] = '\0';
	return OK;
}

/* struct conf_reader's; the bytes are followed by a NUL. */
static enum status read_file(void *arg, const char *path, char **data, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum status st;
	int err;

	(void)arg;
	*data = NULL;
	*len = 0;
	if (fd < 0)
		return E_IO;
	st = read_all(fd, CONF_FILE_MAX, data, len);
	err = errno;
	close(fd);
	if (st != OK) {
		free(*data);
		*data = NULL;
	}
	errno = err;
	return st;
}

/* --- users --- */

static enum status load_users(const struct conf *conf, const struct hash_key *key,
	struct auth_users **out, struct findings *found)
{
	struct finding_at at = {.key = "auth_file", .value = conf->auth_file};
	enum status st;
	char *text;
	size_t len;

	if (*conf->auth_file == '\0')
		return auth_users_parse("", 0, "", key, out, found);
	st = read_file(NULL, conf->auth_file, &text, &len);
	if (st != OK) {
		findings_add(found, FINDING_ERROR, &at, "cannot be read: %s",
			st == E_IO ? strerror(errno) : status_name(st));
		return st == E_NOMEM ? E_NOMEM : E_INVALID;
	}
	st = auth_users_parse(text, len, conf->auth_file, key, out, found);
	explicit_bzero(text, len);
	free(text);
	return st;
}

/* --- TLS --- */

static enum tls_verify verify_of(const struct conf_tls *t)
{
	if (t->sslmode == TLS_MODE_VERIFY_CA)
		return TLS_VERIFY_CA;
	return t->sslmode == TLS_MODE_VERIFY_FULL ? TLS_VERIFY_FULL : TLS_VERIFY_NONE;
}

static const char *protocols_of(const struct conf_tls *t)
{
	if (t->protocols == TLS_PROTOCOL_1_2)
		return "tlsv1.2";
	return t->protocols == TLS_PROTOCOL_1_3 ? "tlsv1.3" : "tlsv1.2,tlsv1.3";
}

/* NULL in *out if the side is off. */
static enum status load_tls_side(
	const struct conf_tls *t, bool server, struct tls_ctx **out, struct findings *found)
{
	struct tls_conf tc = {
		.server = server,
		.verify = verify_of(t),
		.ca_file = t->ca_file,
		.cert_file = t->cert_file,
		.key_file = t->key_file,
		.protocols = protocols_of(t),
		.ciphers = t->ciphers,
		.ciphers13 = t->tls13_ciphers,
		.curve = t->ecdhcurve,
	};
	struct finding_at at = {.key = server ? "client_tls_sslmode" : "server_tls_sslmode"};
	char err[TLS_ERR_MAX];
	enum status st;

	*out = NULL;
	if (t->sslmode == TLS_MODE_DISABLE)
		return OK;
	st = tls_ctx_new(&tc, out, err);
	if (st == OK || st == E_NOMEM)
		return st;
	findings_add(found, FINDING_ERROR, &at, "%s", err);
	return E_INVALID;
}

void config_tls_free(void *tls_set)
{
	struct tls_set *set = tls_set;

	if (set == NULL)
		return;
	tls_ctx_unref(set->client);
	tls_ctx_unref(set->server);
	free(set);
}

static enum status load_tls(const struct conf *conf, struct tls_set **out, struct findings *found)
{
	struct tls_set *set = calloc(1, sizeof *set);
	enum status st_client, st_server;

	if (set == NULL)
		return E_NOMEM;
	st_client = load_tls_side(&conf->client_tls, true, &set->client, found);
	st_server = load_tls_side(&conf->server_tls, false, &set->server, found);
	if (st_client != OK || st_server != OK) {
		config_tls_free(set);
		return st_client != OK ? st_client : st_server;
	}
	*out = set;
	return OK;
}

/* --- all of it --- */

enum status config_complete(
	struct config_set *set, const struct hash_key *key, struct findings *found)
{
	enum status st_users = load_users(set->conf, key, &set->users, found);
	enum status st_tls = load_tls(set->conf, &set->tls, found);

	if (st_users == OK && st_tls == OK)
		return OK;
	auth_users_free(set->users);
	config_tls_free(set->tls);
	set->users = NULL;
	set->tls = NULL;
	return st_users != OK ? st_users : st_tls;
}

enum status config_load(const struct config_from *from, const struct conf *previous,
	const struct hash_key *key, struct config_set *out, struct findings *found)
{
	struct conf_reader reader = {.read = read_file, .environment = from->environment};
	enum status st;

	memset(out, 0, sizeof *out);
	st = conf_load(&reader, from->path, previous, &out->conf, found);
	if (st != OK)
		return st;
	st = config_complete(out, key, found);
	if (st != OK)
		config_set_fini(out);
	return st;
}

void config_set_fini(struct config_set *set)
{
	conf_free(set->conf);
	auth_users_free(set->users);
	config_tls_free(set->tls);
	memset(set, 0, sizeof *set);
}
