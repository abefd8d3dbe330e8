/*
 * console - the admin console: clients that the workers hand over, their protocol, simple and
 * extended, and their commands.
 * Owns:    the sessions and their connections.
 * Bounds:  CONSOLES_MAX sessions; a message of CONSOLE_MESSAGE_MAX bytes; CONSOLE_STMTS_MAX
 *          statements and as many portals per session; CONSOLE_OUT_MAX bytes waiting to be sent,
 *          beyond which a table rests; a client that does not read for CONSOLE_STALL_US is dropped.
 */
#ifndef PGWEIR_CONTROL_CONSOLE_H
#define PGWEIR_CONTROL_CONSOLE_H

#include "control/show.h"

#define CONSOLES_MAX        100u
#define CONSOLE_MESSAGE_MAX 16384u
#define CONSOLE_STMTS_MAX   16u
#define CONSOLE_OUT_MAX     (256u * 1024u)
#define CONSOLE_STALL_US    (60u * 1000u * 1000u)

struct consoles;


/* A client of the console; moved. */
void consoles_take(struct consoles *cs, struct ask_console *ask);

/* Tell those that wait for nothing more that the process ends, and drop them. */
void consoles_shutdown(struct consoles *cs);

bool consoles_kill(struct consoles *cs, uint64_t id); /* false: no such session */

/* For tables: the `pos`th session, and what all sessions ever did. */
bool consoles_row(const struct consoles *cs, size_t pos, struct show_socket_row *out);
void consoles_stats(const struct consoles *cs, struct show_stats_row *out);
uint32_t consoles_n(const struct consoles *cs);

#endif
