#include "conf/effective.h"

#include <string.h>

#include "proto/frame.h"

/* --- sizes: a value that is given counts, also 0 --- */

static uint32_t size_of(uint32_t user, uint32_t db, uint32_t global)
{
	if (user != CONF_UNSET)
		return user;
	return db != CONF_UNSET ? db : global;
}

enum pool_mode conf_pool_mode(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user)
{
	if (user != NULL && user->pool_mode != POOL_MODE_UNSET)
		return user->pool_mode;
	return db->pool_mode != POOL_MODE_UNSET ? db->pool_mode : c->pool_mode;
}

uint32_t conf_pool_size(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user)
{
	return size_of(
		user != NULL ? user->pool_size : CONF_UNSET, db->pool_size, c->default_pool_size);
}

uint32_t conf_reserve_pool_size(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user)
{
	return size_of(user != NULL ? user->reserve_pool_size : CONF_UNSET, db->reserve_pool_size,
		c->reserve_pool_size);
}

uint32_t conf_min_pool_size(const struct conf *c, const struct conf_db *db)
{
	return size_of(CONF_UNSET, db->min_pool_size, c->min_pool_size);
}

uint32_t conf_max_pinned(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user)
{
	uint32_t pool_size = conf_pool_size(c, db, user);
	uint32_t max = size_of(CONF_UNSET, db->max_pinned, c->max_pinned);

	if (max == CONF_UNSET)
		max = pool_size / 2;
	return max < pool_size ? max : pool_size - 1; /* pool_size is at least 1 */
}

/* --- limits: 0 is not given --- */

static uint32_t limit_of(uint32_t own, uint32_t global)
{
	return own != CONF_UNSET && own != 0 ? own : global;
}

uint32_t conf_max_db_connections(const struct conf *c, const struct conf_db *db)
{
	return limit_of(db->max_db_connections, c->max_db_connections);
}

uint32_t conf_max_db_client_connections(const struct conf *c, const struct conf_db *db)
{
	return limit_of(db->max_db_client_connections, c->max_db_client_connections);
}

uint32_t conf_max_user_connections(const struct conf *c, const struct conf_user *user)
{
	return limit_of(
		user != NULL ? user->max_user_connections : CONF_UNSET, c->max_user_connections);
}

uint32_t conf_max_user_client_connections(const struct conf *c, const struct conf_user *user)
{
	return limit_of(user != NULL ? user->max_user_client_connections : CONF_UNSET,
		c->max_user_client_connections);
}

uint32_t conf_message_len_max(const struct conf *c)
{
	return c->max_packet_size <= FRAME_LEN_MAX ? c->max_packet_size - 1 : FRAME_LEN_MAX;
}

/* --- times --- */

static uint64_t time_limit_of(uint64_t own_us, uint64_t global_us)
{
	return own_us != CONF_UNSET_US && own_us != 0 ? own_us : global_us;
}

uint64_t conf_query_timeout_us(const struct conf *c, const struct conf_user *user)
{
	return time_limit_of(
		user != NULL ? user->query_timeout_us : CONF_UNSET_US, c->query_timeout_us);
}

uint64_t conf_idle_transaction_timeout_us(const struct conf *c, const struct conf_user *user)
{
	return time_limit_of(user != NULL ? user->idle_transaction_timeout_us : CONF_UNSET_US,
		c->idle_transaction_timeout_us);
}

uint64_t conf_transaction_timeout_us(const struct conf *c, const struct conf_user *user)
{
	return time_limit_of(user != NULL ? user->transaction_timeout_us : CONF_UNSET_US,
		c->transaction_timeout_us);
}

uint64_t conf_client_idle_timeout_us(const struct conf *c, const struct conf_user *user)
{
	return time_limit_of(user != NULL ? user->client_idle_timeout_us : CONF_UNSET_US,
		c->client_idle_timeout_us);
}

uint64_t conf_query_wait_timeout_us(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user)
{
	if (user != NULL && user->query_wait_timeout_us != CONF_UNSET_US)
		return user->query_wait_timeout_us;
	if (db->query_wait_timeout_us != CONF_UNSET_US)
		return db->query_wait_timeout_us;
	return c->query_wait_timeout_us;
}

uint64_t conf_server_lifetime_us(const struct conf *c, const struct conf_db *db)
{
	return db->server_lifetime_us != CONF_UNSET_US ? db->server_lifetime_us
						       : c->server_lifetime_us;
}

uint64_t conf_max_lag_us(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user)
{
	if (user != NULL && user->max_lag_us != CONF_UNSET_US)
		return user->max_lag_us;
	return db->max_lag_us != CONF_UNSET_US ? db->max_lag_us : c->max_lag_us;
}

enum custom_parameters conf_custom_parameters(const struct conf *c, const struct conf_db *db)
{
	return db != NULL && db->custom_parameters != CUSTOM_PARAMETERS_UNSET
		       ? db->custom_parameters
		       : c->custom_parameters;
}

enum sequence_state conf_sequence_state(const struct conf *c, const struct conf_db *db)
{
	return db->sequence_state != SEQUENCE_STATE_UNSET ? db->sequence_state : c->sequence_state;
}

enum primary_reads conf_primary_reads(const struct conf *c, const struct conf_db *db)
{
	return db->primary_reads != PRIMARY_READS_UNSET ? db->primary_reads : c->primary_reads;
}

enum consistency conf_consistency(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user)
{
	if (user != NULL && user->consistency != CONSISTENCY_UNSET)
		return user->consistency;
	return db->consistency != CONSISTENCY_UNSET ? db->consistency : c->consistency;
}

static const char *first_set(const char *a, const char *b)
{
	return *a != '\0' ? a : b;
}

/* --- auth_query --- */

/*
 * Name and secret of a role that may log in; no secret if its password has expired. Nothing in it
 * depends on a search_path.
 */
#define AUTH_QUERY                                                                           \
	"SELECT r.rolname, CASE WHEN r.rolvaliduntil IS NULL"                                \
	" OR r.rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now() THEN r.rolpassword END" \
	" FROM pg_catalog.pg_authid r WHERE r.rolname OPERATOR(pg_catalog.=) $1"             \
	" AND r.rolcanlogin"

const char *conf_auth_user(const struct conf *c, const struct conf_db *db)
{
	return db != NULL ? first_set(db->auth_user, c->auth_user) : c->auth_user;
}

const char *conf_auth_query(const struct conf *c, const struct conf_db *db)
{
	const char *own = db != NULL ? db->auth_query : "";

	return first_set(first_set(own, c->auth_query), AUTH_QUERY);
}

const char *conf_auth_dbname(const struct conf *c, const struct conf_db *db, const char *asked)
{
	if (db == NULL)
		return c->auth_dbname;
	return first_set(first_set(db->auth_dbname, c->auth_dbname), asked);
}

/* --- the monitor --- */

static const char *monitor_user_key(const struct conf *c, const struct conf_db *db)
{
	return first_set(db->monitor_user, c->monitor_user);
}

const char *conf_monitor_user(const struct conf *c, const struct conf_db *db)
{
	return first_set(monitor_user_key(c, db), first_set(db->user, conf_auth_user(c, db)));
}

const char *conf_monitor_password(const struct conf *c, const struct conf_db *db)
{
	const char *password = "";

	/* the global password goes with the global user, not with a database's own */
	if (*db->monitor_password != '\0')
		return db->monitor_password;
	if (*db->monitor_user == '\0')
		password = c->monitor_password;
	if (*password == '\0' && *db->user != '\0' &&
		strcmp(conf_monitor_user(c, db), db->user) == 0)
		password = db->password;
	return password;
}

const char *conf_monitor_dbname(const struct conf *c, const struct conf_db *db)
{
	const char *own = first_set(db->monitor_dbname, c->monitor_dbname);

	if (*own != '\0')
		return own;
	if (*db->dbname != '\0')
		return db->dbname;
	return strcmp(db->name, "*") == 0 ? "postgres" : db->name;
}

/* --- proxies --- */

bool conf_trusts_proxy(const struct conf *c, const struct cidr_addr *from)
{
	struct cidr net;

	for (size_t i = 0; i < c->proxy_protocol_trusted.n; i++)
		if (cidr_parse(c->proxy_protocol_trusted.items[i], &net) == OK &&
			cidr_has(&net, from))
			return true;
	return false;
}
