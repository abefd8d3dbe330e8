/*
 * syslog_out - log lines to syslog(3). A module of its own because <syslog.h> takes the names of
 * our log levels.
 */
#ifndef PGWEIR_MAIN_SYSLOG_OUT_H
#define PGWEIR_MAIN_SYSLOG_OUT_H

/* ident is borrowed for as long as syslog is used; an unknown facility is "daemon". */
void syslog_out_open(const char *ident, const char *facility);

/* level: enum log_level of base/log.h. Any thread. */
void syslog_out_put(int level, const char *text, const char *kv);

#endif
