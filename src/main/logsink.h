/*
 * logsink - where log lines go: stderr or the journal behind it, a file, syslog; as text or JSON.
 * One write a line, so that lines of several threads never mix. Owns:    the log file's descriptor.
 * The one place outside struct worker with mutable state of the process, as style demands. Threads:
 * logsink_write any; the rest main's alone.
 */
#ifndef PGWEIR_MAIN_LOGSINK_H
#define PGWEIR_MAIN_LOGSINK_H

#include "base/log.h"

struct conf;

/* A log that writes to stderr, libevent's own messages too. `quiet`: only warnings and errors.
 * verbose: 1 adds DEBUG. */
void logsink_init(struct log *log, bool quiet, unsigned verbose);

/*
 * Follow the configuration: level, file, format, syslog. `reopen`: open the file again (rotation).
 * For the first time before there are other threads: what was logged until then, EARLY_MAX lines
 * at most, which only stderr has got, is written to the file and to syslog, too. Errors: E_IO the
 * file cannot be opened (errno); the old one is used on.
 */
enum status logsink_apply(struct log *log, const struct conf *conf, bool reopen) MUST_USE;

/* The process has become a daemon: stderr is gone. */
void logsink_detach(void);

#endif
