#include "main/logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "main/journal_out.h"
#include "main/syslog_out.h"
#include "net/loop.h"

#define LINE_MAX_LEN (LOG_LINE_MAX * 2)
#define EARLY_MAX    256u /* lines that are kept until the file is open; later ones are not in it */

/* A line from before the configuration was followed: neither the file nor syslog has it. */
struct early {
	struct early *next;
	struct timespec at;
	enum log_level lv;
	const char *text;
	char kv[];
};

static struct {
	bool quiet;
	unsigned verbose;
	_Atomic bool use_stderr, use_syslog, json;
	_Atomic int fd;  /* log file, -1: none */
	int journal_fd;  /* stderr is the journal, which takes more than lines; -1: it is not */
	struct log *log; /* for libevent, whose callback has no argument */
	bool is_early;   /* the process has one thread, and its log is stderr alone */
	unsigned n_early;
	struct early *early, *last_early;
	char path[512];
	struct syslog_out syslog;
} sink = {.use_stderr = true, .fd = -1, .journal_fd = -1, .syslog = SYSLOG_OUT_INIT};

static const char *const level_words[] = {"ERROR", "WARN", "INFO", "DEBUG"};

static size_t put_time(char *buf, size_t cap, const struct timespec *ts)
{
	struct tm tm;
	size_t n;

	gmtime_r(&ts->tv_sec, &tm);
	n = strftime(buf, cap, "%Y-%m-%dT%H:%M:%S", &tm);
	return n + (size_t)snprintf(buf + n, cap - n, ".%03ldZ", ts->tv_nsec / 1000000);
}

static size_t clip(int n, size_t cap)
{
	if (n < 0)
		return 0;
	return (size_t)n < cap ? (size_t)n : cap - 1;
}

/* Append `s` escaped for JSON, `n` bytes of it. */
static size_t put_json(char *buf, size_t cap, const char *s, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at + 7 < cap; i++) {
		unsigned char ch = (unsigned char)s[i];

		if (ch == '"' || ch == '\\') {
			buf[at++] = '\\';
			buf[at++] = (char)ch;
		} else if (ch < 0x20) {
			at += (size_t)snprintf(buf + at, cap - at, "\\u%04x", ch);
		} else {
			buf[at++] = (char)ch;
		}
	}
	buf[at] = '\0';
	return at;
}

/* The end of the value that begins at `v`: quoted with \ escapes, or up to the next blank. */
static const char *value_end(const char *v)
{
	if (*v != '"')
		return v + strcspn(v, " ");
	for (v++; *v != '\0' && *v != '"'; v++)
		if (*v == '\\' && v[1] != '\0')
			v++;
	return *v == '"' ? v + 1 : v;
}

static size_t put_json_pairs(char *buf, size_t cap, const char *kv)
{
	size_t at = 0;

	while (*kv != '\0' && at + 64 < cap) {
		const char *eq = strchr(kv, '='), *v, *end;

		if (eq == NULL)
			break;
		v = eq + 1;
		end = value_end(v);
		at += clip(
			snprintf(buf + at, cap - at, ",\"%.*s\":", (int)(eq - kv), kv), cap - at);
		if (*v == '"' && end > v + 1) { /* quoted already, the escapes are JSON's */
			at += clip(
				snprintf(buf + at, cap - at, "%.*s", (int)(end - v), v), cap - at);
		} else {
			buf[at++] = '"';
			at += put_json(buf + at, cap - at, v, (size_t)(end - v));
			buf[at++] = '"';
		}
		kv = *end == ' ' ? end + 1 : end;
	}
	buf[at] = '\0';
	return at;
}

static size_t format_json(char *buf, size_t cap, const struct timespec *at, enum log_level lv,
	const char *text, const char *kv)
{
	char when[40];
	size_t n;

	put_time(when, sizeof when, at);
	n = clip(snprintf(buf, cap, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"", when,
			 level_words[lv]),
		cap);
	n += put_json(buf + n, cap - n - 64, text, strlen(text));
	buf[n++] = '"';
	n += put_json_pairs(buf + n, cap - n - 8, kv);
	return n + clip(snprintf(buf + n, cap - n, "}\n"), cap - n);
}

static size_t format_text(char *buf, size_t cap, const struct timespec *at, enum log_level lv,
	const char *text, const char *kv)
{
	char when[40];

	put_time(when, sizeof when, at);
	return clip(snprintf(buf, cap, "%s %s %s%s%s\n", when, level_words[lv], text,
			    *kv != '\0' ? " " : "", kv),
		cap);
}

static void put_all(int fd, const char *p, size_t n)
{
	ssize_t put = write(fd, p, n); /* a line that cannot be written is lost, never waited for */

	(void)put;
}

/* False: stderr is still to be written to, or there is none. */
static bool is_in_journal(enum log_level lv, const char *text, const char *kv)
{
	return sink.journal_fd >= 0 && atomic_load(&sink.use_stderr) &&
	       journal_out_put(sink.journal_fd, lv, text, kv);
}

static void put_line(const struct timespec *at, enum log_level lv, const char *text, const char *kv,
	bool to_stderr)
{
	char buf[LINE_MAX_LEN];
	int fd = atomic_load(&sink.fd);
	size_t n;

	if (atomic_load(&sink.use_syslog))
		syslog_out_put(&sink.syslog, lv, text, kv);
	if (fd < 0 && !to_stderr)
		return;
	n = atomic_load(&sink.json) ? format_json(buf, sizeof buf, at, lv, text, kv)
				    : format_text(buf, sizeof buf, at, lv, text, kv);
	if (fd >= 0)
		put_all(fd, buf, n);
	if (to_stderr)
		put_all(STDERR_FILENO, buf, n);
}

static void keep(const struct timespec *at, enum log_level lv, const char *text, const char *kv)
{
	struct early *e = sink.n_early < EARLY_MAX ? malloc(sizeof *e + strlen(kv) + 1) : NULL;

	if (e == NULL)
		return; /* stderr has it */
	*e = (struct early){.at = *at, .lv = lv, .text = text};
	strcpy(e->kv, kv);
	*(sink.early == NULL ? &sink.early : &sink.last_early->next) = e;
	sink.last_early = e;
	sink.n_early++;
}

/* The file and syslog get what has been logged before them. */
static void put_early(void)
{
	struct early *e;

	sink.is_early = false;
	while ((e = sink.early) != NULL) {
		sink.early = e->next;
		put_line(&e->at, e->lv, e->text, e->kv, false);
		free(e);
	}
}

static void logsink_write(void *arg, enum log_level lv, const char *text, const char *kv)
{
	bool to_stderr = atomic_load(&sink.use_stderr) && !is_in_journal(lv, text, kv);
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &now);
	if (sink.is_early)
		keep(&now, lv, text, kv);
	put_line(&now, lv, text, kv, to_stderr);
}

static void set_level(struct log *log, unsigned verbose)
{
	int level = verbose != 0 ? LOG_DEBUG : LOG_INFO;

	if (sink.quiet && verbose == 0)
		level = LOG_WARN;
	atomic_store(&log->level, level);
}

static void libevent_says(int severity, const char *text)
{
	char buf[LOG_LINE_MAX / 2];
	const char *what = log_q(buf, sizeof buf, text);

	if (severity >= 3)
		log_error(sink.log, "libevent", "error=%s", what);
	else if (severity == 2)
		log_warn(sink.log, "libevent", "error=%s", what);
	else
		log_debug(sink.log, "libevent", "message=%s", what);
}

void logsink_init(struct log *log, bool quiet, unsigned verbose)
{
	sink.quiet = quiet;
	sink.verbose = verbose;
	log->sink = logsink_write;
	log->sink_arg = NULL;
	sink.is_early = true;
	set_level(log, verbose);
	sink.log = log;
	if (journal_out_is_at(STDERR_FILENO))
		sink.journal_fd = journal_out_open(JOURNAL_OUT_SOCKET);
	loop_set_log(libevent_says);
}

static enum status open_file(const char *path, bool reopen)
{
	int fd, old;

	if (!reopen && strcmp(path, sink.path) == 0)
		return OK;
	fd = -1;
	if (path[0] != '\0') {
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
		if (fd < 0)
			return E_IO;
	}
	snprintf(sink.path, sizeof sink.path, "%s", path);
	old = atomic_load(&sink.fd);
	if (old >= 0 && fd >= 0) { /* the number stays: another thread may be about to write */
		(void)dup3(fd, old, O_CLOEXEC);
		close(fd);
	} else {
		atomic_store(&sink.fd, fd);
	}
	return OK;
}

enum status logsink_apply(struct log *log, const struct conf *conf, bool reopen)
{
	enum status st;

	set_level(log, sink.verbose + conf->verbose);
	atomic_store(&sink.json, conf->log_format == LOG_FORMAT_JSON);
	if (conf->syslog)
		syslog_out_open(&sink.syslog, conf->syslog_ident, conf->syslog_facility);
	atomic_store(&sink.use_syslog, conf->syslog);
	st = open_file(conf->logfile, reopen);
	if (sink.is_early)
		put_early();
	return st;
}

void logsink_detach(void)
{
	atomic_store(&sink.use_stderr, false);
}
