#include "main/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/value.h"
#include "conf/conf.h"
#include "conf/effective.h"

#define FILES_SPARE    128u /* listeners, log, monitor, console … */
#define FILES_A_WORKER 4u   /* its loop, its wake-up, its ring */
#define PID_FILE_TRIES 5u

static int ready_fd = -1; /* daemon_detach: the pipe to the waiting parent */

enum status daemon_become(const char *name)
{
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL)
		return E_NOTFOUND;
	if (geteuid() == pw->pw_uid)
		return OK;
	if (initgroups(name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		return E_IO;
	return setuid(0) == 0 ? E_IO : OK; /* there is no way back */
}

static _Noreturn void wait_until_ready(int fd, pid_t child)
{
	char ok;
	int status;

	if (read(fd, &ok, 1) == 1)
		_exit(0);
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1);
	_exit(1);
}

enum status daemon_detach(void)
{
	int fds[2], null;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return E_IO;
	pid = fork();
	if (pid < 0)
		return E_IO;
	if (pid > 0) {
		close(fds[1]);
		wait_until_ready(fds[0], pid);
	}
	close(fds[0]);
	ready_fd = fds[1];
	if (setsid() < 0)
		return E_IO;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return E_IO;
	if (null > STDERR_FILENO)
		close(null);
	return OK;
}

void daemon_ready(void)
{
	int null;

	if (ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		(void)dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(ready_fd, "1", 1) == 1)
		close(ready_fd);
	ready_fd = -1;
}

/* Does `pid` run the program that we are? Numbers are used again, after a boot at the latest. */
static bool is_one_of_us(pid_t pid)
{
	char path[64], own[32] = "", name[32] = "-";
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(name, sizeof name, f) == NULL)
		name[0] = '-';
	fclose(f);
	(void)prctl(PR_GET_NAME, own);
	name[strcspn(name, "\n")] = '\0';
	return pid != getpid() && strcmp(name, own) == 0;
}

/* The number in the file, 0 if there is none. */
static pid_t read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	uint64_t pid = 0;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return value_parse_uint(text, &pid) && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/* Is `fd` still what lies at `path`? Who ends removes its file, perhaps while we open it. */
static bool is_at(int fd, const char *path)
{
	struct stat by_fd, by_path;

	return fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 &&
	       by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev;
}

/* Open and lock it. Errors: E_EXISTS it is locked, *holder may be 0; E_IO; E_AGAIN it has gone. */
static enum status lock_pid_file(const char *path, int *fd, pid_t *holder)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (*fd < 0)
		return E_IO;
	if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		*holder = read_pid(*fd);
		return errno == EWOULDBLOCK ? E_EXISTS : E_IO;
	}
	return is_at(*fd, path) ? OK : E_AGAIN;
}

static enum status put_pid(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) == len ? OK : E_IO;
}

enum status daemon_write_pid(const char *path, pid_t *holder)
{
	enum status st = E_AGAIN;
	int fd = -1;

	*holder = 0;
	if (path[0] == '\0')
		return OK;
	for (unsigned i = 0; i < PID_FILE_TRIES && st == E_AGAIN; i++) {
		if (fd >= 0)
			close(fd);
		st = lock_pid_file(path, &fd, holder);
	}
	if (st == OK && is_one_of_us(read_pid(fd))) { /* one that does not lock it */
		*holder = read_pid(fd);
		st = E_EXISTS;
	}
	if (st == OK)
		st = put_pid(fd);
	if (st != OK && fd >= 0)
		close(fd);
	return st == E_AGAIN ? E_IO : st; /* else the lock is held by the open descriptor */
}

/* All but clients: every pool full, for one user of each database. */
static rlim_t files_beside_clients(const struct conf *conf, uint32_t n_workers)
{
	rlim_t n = FILES_SPARE + FILES_A_WORKER * n_workers;

	for (size_t i = 0; i < conf->n_dbs; i++) {
		const struct conf_db *db = &conf->dbs[i];
		rlim_t servers = ((rlim_t)conf_pool_size(conf, db, NULL) +
					 conf_reserve_pool_size(conf, db, NULL)) *
				 db->n_nodes;
		uint32_t max = conf_max_db_connections(conf, db);

		n += max != 0 && max < servers ? max : servers;
	}
	return n;
}

/* Root may raise the hard limit, too. */
static void raise_to(struct rlimit *r, rlim_t need)
{
	struct rlimit higher = {.rlim_cur = need, .rlim_max = need};

	if (need <= r->rlim_max)
		higher.rlim_max = r->rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &higher) == 0) {
		*r = higher;
		return;
	}
	higher = (struct rlimit){.rlim_cur = r->rlim_max, .rlim_max = r->rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
		*r = higher;
}

void daemon_raise_limits(const struct conf *conf, uint32_t n_workers, struct log *log)
{
	rlim_t others = files_beside_clients(conf, n_workers);
	rlim_t need = conf->max_client_conn + others;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= need)
		return;
	raise_to(&r, need);
	if (r.rlim_cur >= need)
		return;
	log_warn(log, "the limit on open files is too low",
		"limit=%lu needed=%lu max_client_conn=%u others=%lu hint=\"LimitNOFILE=%lu in the "
		"unit, ulimit -n %lu, or max_client_conn = %lu\"",
		(unsigned long)r.rlim_cur, (unsigned long)need, conf->max_client_conn,
		(unsigned long)others, (unsigned long)need, (unsigned long)need,
		(unsigned long)(r.rlim_cur > others ? r.rlim_cur - others : 0));
}
