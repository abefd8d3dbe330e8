/*
 * login - from an accepted socket to ReadyForQuery: start-up packets, TLS, proof of identity
 * (prove.h), greeting. Ends with client_greet, or client_fatal.
 * Bounds: LOGIN_RX_MAX bytes kept of a peer that has not proved itself; client_login_timeout.
 */
#ifndef PGWEIR_WORKER_LOGIN_H
#define PGWEIR_WORKER_LOGIN_H

#include "auth/decide.h"
#include "proto/scram_server.h"
#include "worker/client.h"

#define LOGIN_RX_MAX 16384u /* bytes; a start-up packet has at most 10,004 */

struct ask_secret;

struct login {
	const char *user, *database; /* of the start-up packet; "" before it has come */
	char *names;                 /* where they stand */
	enum auth_type type;         /* of auth_type, or the rule's; never AUTH_TYPE_HBA */
	char *map;                   /* of the rule, for peer; owned, or NULL */
	char *options;               /* of pam and ldap; owned, or NULL */
	enum auth_ask ask;
	bool doomed;
	uint32_t version;          /* of the protocol that is spoken with it */
	bool ssl_asked, gss_asked; /* at most one of each per socket */
	bool direct_tls;           /* TLS began without an SSLRequest */
	bool proxy_done;           /* a PROXY header was taken, or there is none */
	bool is_console, is_console_admin;
	bool asked_again;        /* auth_query, since the proof failed */
	struct ask_secret *told; /* by auth_query; owned, NULL: it was not asked */
	char *answer;            /* a proof that is still being checked; owned, or NULL */
	char *password;          /* … and that was the password, which is right; likewise */
	const char *why;         /* of doomed; fixed words */
	uint8_t md5_salt[MD5AUTH_SALT_LEN];
	struct md5auth md5_hash;
	struct scram_verifier verifier;
	struct scram_server *scram;   /* NULL before the client's first message of it */
	struct auth_learned *learned; /* NULL: no keys were learned */
	size_t cbind_len;             /* 0: no SCRAM-SHA-256-PLUS on this connection */
	uint8_t cbind[SCRAM_CBIND_MAX];
};

/* conn_ops.on_data of a client that is not logged in. */
size_t login_on_data(struct worker *w, struct client *c, const uint8_t *data, size_t len);
void login_on_tls_ready(struct worker *w, struct client *c);
/* Its identity is proved: to its own worker, or to the console. */
void login_proved(struct worker *w, struct client *c);

void login_refuse(struct worker *w, struct client *c, const char *sqlstate, const char *message,
	const char *hint);
void login_refuse_protocol(struct worker *w, struct client *c, const char *message);

/*
 * Find the client's account and take its place in the limits on clients. False: it was refused and
 * is closed.
 */
bool login_enter(struct worker *w, struct client *c);

/* All is said that a login is answered with, or, in a take-over, was said before: CLIENT_IDLE. */
void login_settle(struct worker *w, struct client *c);

/* The client has proved itself and is on the worker where it shall live: greet it, or wait. */
void login_go_on(struct worker *w, struct client *c);

/* Send what a logged-in client is told, up to ReadyForQuery. */
void login_greet(struct worker *w, struct client *c, const struct welcome *welcome);

struct login *login_new(void); /* NULL: no memory */
enum status login_set_names(struct login *l, const char *user, const char *database) MUST_USE;
void login_free(struct login *l); /* wipes; NULL allowed */

#endif
