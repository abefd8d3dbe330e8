/*
 * effective - which value holds where a setting can be given for a user, a database, and globally.
 * Owns: nothing; results are borrowed from the snapshot.
 */
#ifndef PGWEIR_CONF_EFFECTIVE_H
#define PGWEIR_CONF_EFFECTIVE_H

#include "conf/cidr.h"
#include "conf/conf.h"

/*
 * What holds for a database and a user (NULL: not listed in [users]). Order of precedence as in
 * PgBouncer: the user's, the database's, the global value. Limits of 0 in a database or user fall
 * back to the global one, and a global 0 is no limit; sizes and waits that are given count, also 0.
 */
enum pool_mode conf_pool_mode(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user);
uint32_t conf_pool_size(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user);
uint32_t conf_reserve_pool_size(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user);
uint32_t conf_min_pool_size(const struct conf *c, const struct conf_db *db);
uint32_t conf_max_db_connections(const struct conf *c, const struct conf_db *db);
uint32_t conf_max_db_client_connections(const struct conf *c, const struct conf_db *db);
uint32_t conf_max_user_connections(const struct conf *c, const struct conf_user *user);
uint32_t conf_max_user_client_connections(const struct conf *c, const struct conf_user *user);
/* Never the whole pool: at least one server stays unpinned. */
uint32_t conf_max_pinned(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user);
enum sequence_state conf_sequence_state(const struct conf *c, const struct conf_db *db);
enum custom_parameters conf_custom_parameters(const struct conf *c, const struct conf_db *db);
enum consistency conf_consistency(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user);
enum primary_reads conf_primary_reads(const struct conf *c, const struct conf_db *db);
uint64_t conf_max_lag_us(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user);
uint64_t conf_server_lifetime_us(const struct conf *c, const struct conf_db *db);
uint64_t conf_query_wait_timeout_us(
	const struct conf *c, const struct conf_db *db, const struct conf_user *user);
uint64_t conf_query_timeout_us(const struct conf *c, const struct conf_user *user);
uint64_t conf_idle_transaction_timeout_us(const struct conf *c, const struct conf_user *user);
uint64_t conf_transaction_timeout_us(const struct conf *c, const struct conf_user *user);
uint64_t conf_client_idle_timeout_us(const struct conf *c, const struct conf_user *user);

/*
 * Of auth_query: who runs it ("": nobody, it is not used), the query, and the database, as a client
 * would ask for it. db NULL: the console, which has global keys only. asked: the database that the
 * client asks for; not for the console, where "" says that there is none to run it in.
 */
const char *conf_auth_user(const struct conf *c, const struct conf_db *db);
const char *conf_auth_query(const struct conf *c, const struct conf_db *db);
const char *conf_auth_dbname(const struct conf *c, const struct conf_db *db, const char *asked);

/* May it send a PROXY header: is it in proxy_protocol_trusted? */
bool conf_trusts_proxy(const struct conf *c, const struct cidr_addr *from);

/* Largest length field of a message that is passed on: max_packet_size counts the type as well. */
uint32_t conf_message_len_max(const struct conf *c);

/*
 * Whom the monitor logs in as. User: the entry's monitor_user, the global one, the entry's user,
 * auth_user; "" if none. Password: monitor_password likewise, then the entry's password if the user
 * is the entry's; "" means that a plain line of auth_file may serve.
 */
const char *conf_monitor_user(const struct conf *c, const struct conf_db *db);
const char *conf_monitor_password(const struct conf *c, const struct conf_db *db);
const char *conf_monitor_dbname(const struct conf *c, const struct conf_db *db);

#endif
