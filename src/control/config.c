#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/users.h"
#include "conf/advice.h"
#include "conf/migrate.h"
#include "conf/own.h"
#include "control/access_load.h"
#include "control/stats_auth.h"
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

/* Can anybody come by stats_auth at all? */
static enum status check_stats_auth(
	const struct conf *conf, const struct auth_users *users, struct findings *found)
{
	struct finding_at at = {.key = "stats_auth"};
	struct stats_auth_user room;
	enum status st = stats_auth_user(conf->stats_auth, NULL, users, &room);

	if (st == E_NOTFOUND)
		findings_add(found, FINDING_ERROR, &at,
			"expected user:password, or users of auth_file who have a secret");
	else if (st == E_INVALID)
		findings_add(found, FINDING_ERROR, &at, "malformed SCRAM verifier");
	stats_auth_user_wipe(&room);
	return st == OK || st == E_NOMEM ? st : E_INVALID;
}

/* --- TLS --- */

/*
 * With rules that may ask for a certificate it is asked for, and if one comes it must be valid, as
 * PostgreSQL does that has a CA.
 */
static enum tls_verify verify_of(const struct conf *conf, const struct conf_tls *t)
{
	if (t == &conf->client_tls && t->sslmode < TLS_MODE_VERIFY_CA && *t->ca_file != '\0' &&
		conf->auth_type == AUTH_TYPE_HBA)
		return TLS_VERIFY_OPTIONAL;
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

static enum status new_context(const struct conf *conf, const struct tls_conf *tc, const char *key,
	struct tls_ctx **out, struct findings *found)
{
	struct finding_at at = source_at(&conf->own->source, key);
	char err[TLS_ERR_MAX];
	enum status st = tls_ctx_new(tc, out, err);

	if (st == OK || st == E_NOMEM)
		return st;
	findings_add(found, FINDING_ERROR, &at, "%s", err);
	return E_INVALID;
}

/* NULL in *out if the side is off. */
static enum status load_tls_side(const struct conf *conf, const struct conf_tls *t, bool server,
	struct tls_ctx **out, struct findings *found)
{
	struct tls_conf tc = {
		.server = server,
		.verify = verify_of(conf, t),
		.ca_file = t->ca_file,
		.cert_file = t->cert_file,
		.key_file = t->key_file,
		.protocols = protocols_of(t),
		.ciphers = t->ciphers,
		.ciphers13 = t->tls13_ciphers,
		.curve = t->ecdhcurve,
		.dheparams = t->dheparams == TLS_DHEPARAMS_NONE ? "none" : "auto",
	};

	*out = NULL;
	if (t->sslmode == TLS_MODE_DISABLE)
		return OK;
	return new_context(
		conf, &tc, server ? "client_tls_sslmode" : "server_tls_sslmode", out, found);
}

/* The same for the stats port, which has the versions and ciphers of clients. */
static enum status load_tls_stats(
	const struct conf *conf, struct tls_ctx **out, struct findings *found)
{
	const struct conf_tls *t = &conf->client_tls;
	struct tls_conf tc = {
		.server = true,
		.http = true,
		.verify = TLS_VERIFY_NONE,
		.cert_file = conf->stats_tls_cert_file,
		.key_file = conf->stats_tls_key_file,
		.protocols = protocols_of(t),
		.ciphers = t->ciphers,
		.ciphers13 = t->tls13_ciphers,
		.curve = t->ecdhcurve,
		.dheparams = t->dheparams == TLS_DHEPARAMS_NONE ? "none" : "auto",
	};

	if (conf->stats_port == 0 || *conf->stats_tls_cert_file == '\0')
		return OK;
	return new_context(conf, &tc, "stats_tls_cert_file", out, found);
}

/* For Patroni's REST API, with the versions and ciphers of servers. A certificate is verified. */
static enum status load_tls_patroni(
	const struct conf *conf, struct tls_ctx **out, struct findings *found)
{
	const struct conf_tls *t = &conf->server_tls;
	struct tls_conf tc = {
		.http = true,
		.verify = TLS_VERIFY_FULL,
		.ca_file = conf->patroni_tls_ca_file,
		.protocols = protocols_of(t),
		.ciphers = t->ciphers,
		.ciphers13 = t->tls13_ciphers,
		.curve = t->ecdhcurve,
	};

	if (*conf->patroni_tls_ca_file == '\0')
		return OK;
	return new_context(conf, &tc, "patroni_tls_ca_file", out, found);
}

void config_tls_free(void *tls_set)
{
	struct tls_set *set = tls_set;

	if (set == NULL)
		return;
	tls_ctx_unref(set->client);
	tls_ctx_unref(set->server);
	tls_ctx_unref(set->stats);
	tls_ctx_unref(set->patroni);
	free(set);
}

static enum status load_tls(const struct conf *conf, struct tls_set **out, struct findings *found)
{
	struct tls_set *set = calloc(1, sizeof *set);
	enum status st_client, st_server, st_stats, st_patroni;

	if (set == NULL)
		return E_NOMEM;
	st_client = load_tls_side(conf, &conf->client_tls, true, &set->client, found);
	st_server = load_tls_side(conf, &conf->server_tls, false, &set->server, found);
	st_stats = load_tls_stats(conf, &set->stats, found);
	st_patroni = load_tls_patroni(conf, &set->patroni, found);
	if (st_client != OK || st_server != OK || st_stats != OK || st_patroni != OK) {
		config_tls_free(set);
		if (st_client != OK)
			return st_client;
		if (st_server != OK)
			return st_server;
		return st_stats != OK ? st_stats : st_patroni;
	}
	*out = set;
	return OK;
}

/* --- what the files hold --- */

/* Several texts may make one mark: a file and those that it names. */
static void add_mark(struct conf *conf, enum conf_file file, const char *text, size_t len)
{
	/* the same in each load; nobody chooses contents to make two marks equal */
	static const struct hash_key key = {.k0 = 1, .k1 = 2};
	uint64_t *mark = &conf->file_marks[file];
	uint64_t both[2] = {*mark, hash_bytes(&key, text, len)};

	*mark = hash_bytes(&key, both, sizeof both) | 1; /* 0 is none */
}

/* struct conf_reader's, for access_load; `arg` is the configuration. */
static enum status read_marked(void *arg, const char *path, char **data, size_t *len)
{
	struct conf *conf = arg;
	enum status st = read_file(NULL, path, data, len);

	if (st == OK)
		add_mark(conf,
			strcmp(path, conf->auth_ident_file) == 0 ? CONF_FILE_IDENT : CONF_FILE_HBA,
			*data, *len);
	return st;
}

/* What OpenSSL reads by itself. A file that cannot be read here (a folder, "system") has no mark.
 */
static void mark_file(
	struct conf *c, const struct tls_ctx *user, enum conf_file file, const char *path)
{
	char *text;
	size_t len;

	if (user == NULL || *path == '\0' || read_file(NULL, path, &text, &len) != OK)
		return;
	add_mark(c, file, text, len);
	explicit_bzero(text, len);
	free(text);
}

static void mark_tls(struct conf *c, const struct tls_set *tls)
{
	mark_file(c, tls->client, CONF_FILE_CLIENT_CA, c->client_tls.ca_file);
	mark_file(c, tls->client, CONF_FILE_CLIENT_CERT, c->client_tls.cert_file);
	mark_file(c, tls->client, CONF_FILE_CLIENT_KEY, c->client_tls.key_file);
	mark_file(c, tls->server, CONF_FILE_SERVER_CA, c->server_tls.ca_file);
	mark_file(c, tls->server, CONF_FILE_SERVER_CERT, c->server_tls.cert_file);
	mark_file(c, tls->server, CONF_FILE_SERVER_KEY, c->server_tls.key_file);
	mark_file(c, tls->stats, CONF_FILE_STATS_CERT, c->stats_tls_cert_file);
	mark_file(c, tls->stats, CONF_FILE_STATS_KEY, c->stats_tls_key_file);
	mark_file(c, tls->patroni, CONF_FILE_PATRONI_CA, c->patroni_tls_ca_file);
}

/* --- what is unwise --- */

static void find_facts(const struct conf *conf, const struct auth_users *users, const char *path,
	struct advice_facts *facts)
{
	struct rlimit limit;
	struct stat st;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
		facts->files_max = limit.rlim_max;
	if (*conf->auth_file != '\0' && stat(conf->auth_file, &st) == 0)
		facts->auth_file_mode = st.st_mode & 07777u;
	if (*path != '\0' && stat(path, &st) == 0)
		facts->config_mode = st.st_mode & 07777u;
	facts->n_users = (uint32_t)auth_users_count(users);
}

static void advise(
	const struct config_set *set, const struct config_from *from, struct findings *found)
{
	struct advice_facts facts = {.files_max = 0};

	find_facts(set->conf, set->users, from->path, &facts);
	if (from->ask_nodes != NULL)
		from->ask_nodes(set->conf, set->users, &facts, found);
	advice_check(set->conf, &facts, found);
}

/* --- all of it --- */

enum status config_complete(
	struct config_set *set, const struct hash_key *key, struct findings *found)
{
	enum status st_users = load_users(set->conf, key, &set->users, found);
	enum status st_stats = st_users == OK ? check_stats_auth(set->conf, set->users, found) : OK;
	struct conf_reader reader = {.read = read_marked, .arg = set->conf};
	enum status st_access, st_tls;

	memset(set->conf->file_marks, 0, sizeof set->conf->file_marks);
	st_access = access_load(set->conf, &reader, &set->access, found);
	st_tls = load_tls(set->conf, &set->tls, found);
	if (st_users == OK && st_stats == OK && st_access == OK && st_tls == OK) {
		mark_tls(set->conf, set->tls);
		return OK;
	}
	auth_users_free(set->users);
	access_free(set->access);
	config_tls_free(set->tls);
	set->users = NULL;
	set->access = NULL;
	set->tls = NULL;
	if (st_users != OK)
		return st_users;
	if (st_stats != OK)
		return st_stats;
	return st_access != OK ? st_access : st_tls;
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
	if (st == OK)
		advise(out, from, found);
	else
		config_set_fini(out);
	return st;
}

enum status config_migrate(const char *path, const struct document_out *out, struct findings *found)
{
	struct conf_reader reader = {.read = read_file};
	struct conf *conf;
	enum status st = conf_load(&reader, path, NULL, &conf, found);

	if (st != OK)
		return st;
	if (conf->is_pgbouncer)
		migrate_write(conf, path, out);
	else
		findings_add(found, FINDING_ERROR, &(struct finding_at){.file = path},
			"expected a file of PgBouncer, with a section [pgbouncer]");
	st = conf->is_pgbouncer ? OK : E_INVALID;
	conf_free(conf);
	return st;
}

enum status config_load_log(const struct config_from *from, struct conf **out)
{
	struct conf_reader reader = {.read = read_file, .environment = from->environment};

	return conf_load_log(&reader, from->path, out);
}

void config_log_findings(struct log *log, const struct findings *found)
{
	char line[FINDING_LINE_MAX], quoted[2 * FINDING_LINE_MAX];
	size_t n_of[FINDING_KIND_COUNT] = {0}, n_more = found->n_left_out;

	for (size_t i = 0; i < found->n; i++) {
		const struct finding *f = &found->items[i];

		if (n_of[f->kind]++ >= LOG_SITE_BURST) {
			n_more++;
			continue;
		}
		log_q(quoted, sizeof quoted, finding_format(f, line, sizeof line));
		if (f->kind == FINDING_ERROR)
			log_error(log, "configuration error", "at=%s", quoted);
		else if (f->kind == FINDING_WARNING)
			log_warn(log, "configuration is unwise", "at=%s", quoted);
		else if (f->kind == FINDING_RESTART)
			log_warn(log, "setting waits for a restart", "at=%s", quoted);
		else
			log_info(log, "configuration note", "at=%s", quoted);
	}
	if (n_more != 0)
		log_warn(log, "more findings", "n=%zu hint=\"pgweir -t tells them\"", n_more);
}

void config_set_fini(struct config_set *set)
{
	conf_free(set->conf);
	auth_users_free(set->users);
	access_free(set->access);
	config_tls_free(set->tls);
	memset(set, 0, sizeof *set);
}
