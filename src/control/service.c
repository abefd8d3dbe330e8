#include "control/service.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/value.h"
#include "conf/conf.h"

#define MESSAGE_MAX     (SERVICE_STATUS_MAX + 128u)
#define WATCHDOG_MIN_US 300000u /* three of a worker's beats; a shorter time is kept by nobody */
#define WATCHDOG_PARTS  3u      /* we tell so many times in the time that we have */

struct service {
	struct env *env;
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_us; /* a life sign is due within; 0: none */
	struct wheel_timer timer;
	bool is_stuck; /* the last look found a worker that does not turn */
};

/* --- messages --- */

static void tell(struct service *s, const char *text)
{
	if (s->fd < 0)
		return;
	if (sendto(s->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		    (const struct sockaddr *)&s->to, s->to_len) < 0)
		log_warn(s->env->shared->log, "service manager not told", "error=\"%s\"",
			strerror(errno));
}

static void open_socket(struct service *s)
{
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		log_warn(s->env->shared->log, "service manager cannot be told", "error=\"%s\"",
			strerror(errno));
}

/* One message: `state` lines, then the status. A line break would begin another assignment. */
static void tell_status(struct service *s, const char *state, const char *status)
{
	char text[MESSAGE_MAX];

	(void)snprintf(
		text, sizeof text, "%sSTATUS=%.*s", state, (int)SERVICE_STATUS_MAX - 1, status);
	for (char *p = text + strlen(state); *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	tell(s, text);
}

static void tell_ready(struct service *s, const char *more)
{
	const struct conf *conf = env_conf(s->env);
	char status[SERVICE_STATUS_MAX];

	(void)snprintf(status, sizeof status,
		"Accepting connections: %zu databases, %u workers%s%s", conf->n_dbs,
		s->env->shared->n_workers, *more != '\0' ? "; " : "", more);
	tell_status(s, "READY=1\n", status);
}

/* --- the watchdog --- */

/* The first worker that has not turned its loop for so long; n_workers: none. */
static uint32_t find_stuck(struct service *s, uint64_t limit_us)
{
	struct shared *sh = s->env->shared;
	uint64_t now_us = env_now_us(s->env);
	uint32_t i;

	for (i = 0; i < sh->n_workers; i++)
		if (atomic_load(&sh->workers[i].beat_us) + limit_us < now_us)
			break;
	return i;
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct service *s = list_entry(t, struct service, timer);
	struct shared *sh = s->env->shared;
	uint32_t stuck = find_stuck(s, s->watchdog_us / 2);
	char status[SERVICE_STATUS_MAX];

	(void)ctx;
	env_timer(s->env, t, s->watchdog_us / WATCHDOG_PARTS);
	if (stuck == sh->n_workers) {
		tell(s, "WATCHDOG=1");
		if (s->is_stuck)
			tell_ready(s, "");
		s->is_stuck = false;
		return;
	}
	if (s->is_stuck)
		return;
	s->is_stuck = true;
	log_error(sh->log, "a worker does not turn its loop", "worker=%u", stuck);
	(void)snprintf(status, sizeof status, "Worker %u does not turn its loop", stuck);
	tell_status(s, "", status);
}

/* --- what happens --- */

void service_ready(struct service *s)
{
	tell_ready(s, "");
	if (s->watchdog_us != 0)
		env_timer(s->env, &s->timer, s->watchdog_us / WATCHDOG_PARTS);
}

void service_reloading(struct service *s)
{
	char state[64];

	(void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
		(unsigned long long)env_now_us(s->env));
	tell_status(s, state, "Reading the configuration again");
}

void service_reloaded(struct service *s, enum status st, const char *text)
{
	char more[SERVICE_STATUS_MAX];

	(void)snprintf(more, sizeof more, "%s%.400s",
		st != OK ? "the new configuration was refused: " : "", text);
	tell_ready(s, more);
}

void service_waiting(struct service *s, const char *for_whom)
{
	char status[SERVICE_STATUS_MAX];

	(void)snprintf(status, sizeof status, "Taking no new clients, waiting for %s", for_whom);
	tell_status(s, "", status);
}

void service_passed_on(struct service *s, long pid)
{
	char text[64];

	(void)snprintf(text, sizeof text, "MAINPID=%ld\n", pid);
	tell(s, text);
	wheel_del(&s->env->wheel, &s->timer);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void service_taken_back(struct service *s)
{
	char text[64];

	if (s->to_len == 0)
		return;
	open_socket(s);
	(void)snprintf(text, sizeof text, "MAINPID=%ld\n", (long)getpid());
	tell(s, text);
	service_ready(s);
}

void service_stopping(struct service *s)
{
	wheel_del(&s->env->wheel, &s->timer);
	tell_status(s, "STOPPING=1\n", "Stopping");
}

/* --- life --- */

/* A path, or an abstract name behind "@". */
static bool set_address(struct service *s, const char *path)
{
	size_t len = strlen(path);

	if ((*path != '/' && *path != '@') || len < 2 || len >= sizeof s->to.sun_path)
		return false;
	s->to.sun_family = AF_UNIX;
	memcpy(s->to.sun_path, path, len + 1);
	s->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*path == '/'));
	if (*path == '@')
		s->to.sun_path[0] = '\0';
	return true;
}

static void read_watchdog(struct service *s)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t value;

	if (us == NULL || !value_parse_uint(us, &value) || value == 0)
		return;
	s->watchdog_us = value > WATCHDOG_MIN_US ? value : WATCHDOG_MIN_US;
	if (pid != NULL && (!value_parse_uint(pid, &value) || value != (uint64_t)getpid()))
		s->watchdog_us = 0; /* it is another process's */
}

enum status service_new(struct env *env, struct service **out)
{
	struct service *s = calloc(1, sizeof *s);
	const char *path = getenv("NOTIFY_SOCKET");

	if (s == NULL)
		return E_NOMEM;
	s->env = env;
	s->fd = -1;
	wheel_timer_init(&s->timer, on_timer);
	*out = s;
	if (path == NULL || *path == '\0')
		return OK;
	if (set_address(s, path))
		open_socket(s);
	else
		log_warn(env->shared->log, "service manager cannot be told", "notify_socket=%s",
			path);
	if (s->fd >= 0)
		read_watchdog(s);
	return OK;
}

void service_free(struct service *s)
{
	if (s == NULL)
		return;
	wheel_del(&s->env->wheel, &s->timer);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
