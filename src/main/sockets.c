#include "main/sockets.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "net/listen.h"

struct opening {
	struct sockets *s;
	const struct conf *conf;
	struct log *log;
	uint32_t n_workers;
	bool is_admin;
	struct sockets_given *given;
};

static enum status add(struct opening *o, uint32_t worker, int fd, bool deal)
{
	uint32_t here = 0;

	for (uint32_t i = 0; i < o->s->n; i++)
		here += o->s->entry[i].worker == worker;
	if (here == WORKER_LISTENERS_MAX || o->s->n == SOCKETS_MAX) {
		close(fd);
		log_error(o->log, "too many listening addresses", "limit=%u", WORKER_LISTENERS_MAX);
		return E_LIMIT;
	}
	o->s->entry[o->s->n++] = (struct socket_entry){
		.worker = worker, .listen = {.fd = fd, .is_admin = o->is_admin, .deal = deal}};
	return OK;
}

static void tell(const struct opening *o, const char *what, const char *err)
{
	log_error(o->log, "cannot listen", "what=\"%s\" error=\"%s\"", what, err);
}

static gid_t group_of(const struct opening *o)
{
	const struct group *g;

	if (o->conf->unix_socket_group[0] == '\0')
		return (gid_t)-1;
	g = getgrnam(o->conf->unix_socket_group);
	if (g == NULL)
		log_warn(o->log, "no such group", "unix_socket_group=%s",
			o->conf->unix_socket_group);
	return g != NULL ? g->gr_gid : (gid_t)-1;
}

static bool is_at(int fd, const struct net_addr *a)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct net_addr here;

	return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	       net_addr_set(&here, (struct sockaddr *)&sa, len) == OK && net_addr_equal(&here, a);
}

/* Use what the process that is taken over has there. *n: how many there were. */
static enum status adopt_address(struct opening *o, const struct net_addr *a, uint32_t *n)
{
	enum status st = OK;

	*n = 0;
	for (uint32_t i = 0; i < o->given->n && st == OK; i++) {
		struct socket_given *g = &o->given->entry[i];

		if (g->fd < 0 || g->is_admin != o->is_admin || !is_at(g->fd, a))
			continue;
		st = add(o, *n % o->n_workers, g->fd, o->n_workers > 1);
		g->fd = -1;
		++*n;
	}
	/* one for each worker: each keeps what it accepts */
	for (uint32_t i = o->s->n - *n; *n >= o->n_workers && i < o->s->n; i++)
		o->s->entry[i].listen.deal = false;
	return st;
}

/* One address: a member per worker, or a single socket whose connections are dealt out. */
static enum status open_address(struct opening *o, const struct net_addr *a)
{
	bool is_unix = net_addr_is_unix(a);
	uint32_t n = is_unix || o->is_admin ? 1 : o->n_workers;
	struct listen_opts opts = {.backlog = (int)o->conf->listen_backlog,
		.reuse_port = n > 1 || o->conf->so_reuseport,
		.unix_mode = (mode_t)o->conf->unix_socket_mode,
		.unix_gid = is_unix ? group_of(o) : (gid_t)-1};
	char err[LISTEN_ERR_MAX], addr[128], text[160];
	uint32_t n_given;
	enum status st;
	int fd;

	if ((st = adopt_address(o, a, &n_given)) != OK || n_given != 0)
		return st;
	net_addr_format(a, addr, sizeof addr);
	if (is_unix)
		snprintf(text, sizeof text, "%s", addr);
	else
		snprintf(text, sizeof text, "%s port %u", addr, net_addr_port(a));
	if (!is_unix && !o->conf->so_reuseport && (st = listen_probe(a)) != OK) {
		tell(o, text,
			st == E_EXISTS
				? "another process listens there (so_reuseport = 1 allows it)"
				: "the address cannot be bound");
		return st;
	}
	for (uint32_t i = 0; i < n; i++) {
		st = listen_open(a, &opts, &fd, err);
		if (st != OK) {
			tell(o, text, err);
			return st;
		}
		st = add(o, i, fd, n == 1 && o->n_workers > 1);
		if (st != OK)
			return st;
	}
	return OK;
}

static enum status open_host(struct opening *o, const char *host, uint16_t port)
{
	struct net_addr addrs[LISTEN_ADDRS_MAX];
	char err[LISTEN_ERR_MAX];
	size_t n, n_open = 0;
	enum status st = listen_resolve(host, port, addrs, LISTEN_ADDRS_MAX, &n, err);

	if (st != OK) {
		tell(o, host, err);
		return st;
	}
	for (size_t i = 0; i < n; i++) {
		st = open_address(o, &addrs[i]);
		n_open += st == OK;
		/* "*" where one family is missing is fine, an occupied port is not. */
		if (st != OK && (st == E_EXISTS || strcmp(host, "*") != 0))
			return st;
	}
	return n_open != 0 ? OK : E_IO;
}

static enum status open_unix(struct opening *o, const char *dir, uint16_t port)
{
	struct net_addr a;

	if (dir[0] == '\0')
		return OK;
	if (net_addr_parse(dir, port, &a) != OK || !net_addr_is_unix(&a)) {
		tell(o, dir, "not a directory for a unix socket");
		return E_INVALID;
	}
	return open_address(o, &a);
}

/* The sockets that were handed over for this use. Each is accepted on by one worker. */
static enum status take_passed(struct opening *o, const struct activation *passed)
{
	enum activation_use use = o->is_admin ? ACTIVATION_ADMIN : ACTIVATION_CLIENTS;
	enum status st = OK;

	for (uint32_t i = 0; i < passed->n && st == OK; i++) {
		if (passed->entry[i].use != use)
			continue;
		st = add(o, i % o->n_workers, passed->entry[i].fd, o->n_workers > 1);
		if (st == OK)
			o->s->entry[o->s->n - 1].listen.is_passed = true;
	}
	return st;
}

static enum status open_for_clients(struct opening *o, const struct sockets_args *args)
{
	enum status st = OK;

	if (activation_find(args->passed, ACTIVATION_CLIENTS) >= 0)
		return take_passed(o, args->passed);
	for (size_t i = 0; i < o->conf->listen_addr.n && st == OK; i++)
		st = open_host(o, o->conf->listen_addr.items[i], o->conf->listen_port);
	return st == OK ? open_unix(o, o->conf->unix_socket_dir, o->conf->listen_port) : st;
}

static enum status open_for_admins(struct opening *o, const struct sockets_args *args)
{
	const struct conf *conf = o->conf;
	enum status st = OK;

	if (activation_find(args->passed, ACTIVATION_ADMIN) >= 0)
		return take_passed(o, args->passed);
	if (conf->admin_port != 0)
		st = open_host(o, conf->admin_addr, conf->admin_port);
	if (st == OK && conf->admin_socket_dir[0] != '\0')
		st = open_unix(o, conf->admin_socket_dir,
			conf->admin_port != 0 ? conf->admin_port : conf->listen_port);
	return st;
}

enum status sockets_open(struct sockets *s, const struct sockets_args *args)
{
	struct opening o = {.s = s,
		.conf = args->conf,
		.given = args->given,
		.log = args->log,
		.n_workers = args->n_workers};
	enum status st;

	s->n = 0;
	st = open_for_clients(&o, args);
	o.is_admin = true;
	if (st == OK)
		st = open_for_admins(&o, args);
	if (st == OK && s->n == 0) {
		log_error(o.log, "nothing to listen on", "keys=\"listen_addr, unix_socket_dir\"");
		st = E_INVALID;
	}
	return st;
}

uint32_t sockets_of_worker(
	const struct sockets *s, uint32_t worker, struct worker_listen out[WORKER_LISTENERS_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->entry[i].worker == worker)
			out[n++] = s->entry[i].listen;
	return n;
}

void sockets_close(struct sockets *s, bool unlink)
{
	for (uint32_t i = 0; i < s->n; i++) {
		if (unlink && !s->entry[i].listen.is_passed)
			listen_unlink(s->entry[i].listen.fd);
		close(s->entry[i].listen.fd);
	}
	s->n = 0;
}
