/*
 * journal_out - log lines as entries of systemd's journal, with fields of their own: PRIORITY,
 * MESSAGE, and PGWEIR_EVENT, PGWEIR_CLIENT, PGWEIR_REASON … from the event and its key=value pairs:
 *     journalctl -u pgweir PGWEIR_EVENT='server closed' PGWEIR_NODE=10.0.0.2:5432
 * Touches: one datagram an entry, never waited for.
 * Source:  systemd, "Native Journal Protocol"; ADR 0030 says why no library.
 */
#ifndef PGWEIR_MAIN_JOURNAL_OUT_H
#define PGWEIR_MAIN_JOURNAL_OUT_H

#include <stdbool.h>

#include "base/log.h"

#define JOURNAL_OUT_SOCKET "/run/systemd/journal/socket"

/* Is `fd` (stderr) what systemd connected to the journal? JOURNAL_STREAM in the environment tells.
 */
bool journal_out_is_at(int fd);

/* A socket to the journal at `path`, close-on-exec and non-blocking; -1: there is none. */
int journal_out_open(const char *path);

/* Any thread. False: it was not taken. */
bool journal_out_put(int fd, enum log_level lv, const char *text, const char *kv);

#endif
