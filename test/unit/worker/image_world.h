/*
 * image_world - a worker, an account and its pool that are just enough to read and write the images
 * of worker/image; for its unit test and its fuzz target.
 */
#ifndef PGWEIR_TEST_IMAGE_WORLD_H
#define PGWEIR_TEST_IMAGE_WORLD_H

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/decide.h"
#include "auth/users.h"
#include "conf/conf.h"
#include "net/conn.h"
#include "route/params.h"
#include "worker/image.h"
#include "worker/notify.h"

struct image_world {
	struct shared sh;
	struct worker w;
	struct conf conf;
	struct dbase db;
	struct account acc;
	struct pool pool;
	struct conn *conn; /* of all clients */
	int other_end;
};

static inline void image_world_no_wake(void *arg)
{
	(void)arg;
}

static inline void image_world_init(struct image_world *x)
{
	static const struct hash_key key = {1, 2};
	static const struct conn_ops ops;
	static const struct conn_limits limits = {4096, 65536};
	const struct loop_conf lc = {.rx_len = 4096, .bufpool_keep_max = 4096, .turn_budget = 4096};
	int ends[2];

	memset(x, 0, sizeof *x);
	x->w.sh = &x->sh;
	x->sh.hash_key = key;
	mailbox_init(&x->sh.control, image_world_no_wake, NULL);
	x->w.now_us = (uint64_t)1 << 40;
	x->conf.max_prepared_statements = 100;
	x->w.conf = &x->conf;
	x->pool.acc = &x->acc;
	x->acc.db = &x->db;
	strcpy(x->acc.user, "app");
	strcpy(x->db.name, "db");
	list_init(&x->acc.welcomes);
	PANIC_IF(settings_table_new(&key, 1u << 24, &x->w.settings) != OK);
	PANIC_IF(stmt_table_new(&key, 1u << 24, x->w.settings, &x->w.stmts) != OK);
	PANIC_IF(busy_pool_new(&x->w.busy) != OK);
	PANIC_IF(notify_new(&x->w, &x->w.notify) != OK);
	PANIC_IF(loop_new(&lc, &x->w.loop) != OK);
	PANIC_IF(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0);
	x->other_end = ends[1];
	PANIC_IF(conn_new(x->w.loop, ends[0], &ops, NULL, &limits, &x->conn) != OK);
}

/* As it was before anybody came. */
static inline void image_world_forget(struct image_world *x)
{
	baseline_fini(&x->acc.baseline);
	x->acc.has_baseline = false;
	free(x->acc.learned);
	x->acc.learned = NULL;
	secret_free(x->acc.secret);
	x->acc.secret = NULL;
}

static inline struct client *image_client_new(struct image_world *x)
{
	struct client *c = calloc(1, sizeof *c);
	struct settings *login = settings_empty(x->w.settings);

	PANIC_IF(c == NULL);
	c->w = &x->w;
	c->db = &x->db;
	c->acc = &x->acc;
	c->conn = x->conn;
	c->state = CLIENT_IDLE;
	settings_txn_init(&c->set, x->w.settings, &login);
	c->custom = settings_empty(x->w.settings);
	stmt_names_init(&c->names, x->w.stmts, 1000);
	PANIC_IF(busy_begin(&x->w, c) != OK);
	return c;
}

static inline void image_client_free(struct image_world *x, struct client *c)
{
	struct mail *next;

	notify_client_gone(&x->w, c);
	client_free(&x->w, c);
	for (struct mail *m = mailbox_take(&x->sh.control); m != NULL; m = next) {
		next = m->next; /* what it has listened to, and no more */
		free(m);
	}
}

static inline void image_world_fini(struct image_world *x)
{
	image_world_forget(x);
	notify_free(&x->w, x->w.notify);
	busy_pool_free(x->w.busy);
	conn_free(x->conn);
	loop_free(x->w.loop);
	close(x->other_end);
	stmt_table_free(x->w.stmts);
	settings_table_free(x->w.settings);
}

#endif
