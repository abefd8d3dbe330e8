/*
 * patroni - asks the REST API of Patroni beside each node whether that node holds the leader lock:
 * GET /leader on the node's host and patroni_port, 200 if it does; with patroni_tls_ca_file over
 * TLS, the host's certificate verified; with patroni_auth as that user (Basic). Owns:    one
 * connection to each API at a time. Rules:   an answer holds until the next one, or until an
 * attempt has failed: then nothing is known, and roles are discovered without it. What follows from
 * an answer is route/roles.h's. Bounds:  a question every PATRONI_EVERY_US, PATRONI_FAST_US while
 * the answer and the node's role contradict each other; each lasts at most node_timeout;
 * PATRONI_HEAD_MAX bytes are read. Source:  Patroni's manual, "Patroni REST API", "Health check
 * endpoints".
 */
#ifndef PGWEIR_CONTROL_PATRONI_H
#define PGWEIR_CONTROL_PATRONI_H

#include "control/env.h"
#include "route/topology.h"

#define PATRONI_EVERY_US 1000000u
#define PATRONI_FAST_US  100000u
#define PATRONI_HEAD_MAX 4096u

struct patroni;

struct patroni_ops {
	/* What is known of the node's lock now; called when it has changed. */
	void (*on_leader)(void *arg, uint32_t node, enum topo_leader leader);
};

/* Errors: E_NOMEM. */
enum status patroni_new(
	struct env *env, const struct patroni_ops *ops, void *arg, struct patroni **out) MUST_USE;
void patroni_free(struct patroni *p); /* NULL is allowed */

/* A new configuration is published. Errors: E_NOMEM, call again. */
enum status patroni_conf_changed(struct patroni *p) MUST_USE;

/*
 * What a status line says: leader or not; unknown if it is no answer of that kind. `len` bytes of
 * it, at least 12 of which are needed. Pure.
 */
enum topo_leader patroni_read_status(const uint8_t *data, size_t len);

#endif
