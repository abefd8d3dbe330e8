#include "main/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf.h"

#define FILES_SPARE 128u /* listeners, log, monitor, console … */

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

static bool names_living_process(const char *path)
{
	FILE *f = fopen(path, "re");
	long pid = 0;
	bool living;

	if (f == NULL)
		return false;
	living = fscanf(f, "%ld", &pid) == 1 && pid > 0 && pid != (long)getpid() &&
		 (kill((pid_t)pid, 0) == 0 || errno == EPERM);
	fclose(f);
	return living;
}

enum status daemon_write_pid(const char *path)
{
	FILE *f;

	if (path[0] == '\0')
		return OK;
	if (names_living_process(path))
		return E_EXISTS;
	f = fopen(path, "we");
	if (f == NULL)
		return E_IO;
	fprintf(f, "%ld\n", (long)getpid());
	return fclose(f) == 0 ? OK : E_IO;
}

static rlim_t files_needed(const struct conf *conf)
{
	rlim_t servers = 0;

	for (size_t i = 0; i < conf->n_dbs; i++) {
		const struct conf_db *db = &conf->dbs[i];
		uint32_t size =
			db->pool_size != CONF_UNSET ? db->pool_size : conf->default_pool_size;

		servers += (rlim_t)size * db->n_nodes;
	}
	return conf->max_client_conn + servers + FILES_SPARE;
}

void daemon_raise_limits(const struct conf *conf, struct log *log)
{
	rlim_t need = files_needed(conf);
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= need)
		return;
	r.rlim_cur = need <= r.rlim_max ? need : r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur >= need)
		return;
	log_warn(log, "the limit on open files is too low",
		"limit=%lu needed=%lu hint=\"raise LimitNOFILE or ulimit -n, or lower "
		"max_client_conn\"",
		(unsigned long)r.rlim_cur, (unsigned long)need);
}
