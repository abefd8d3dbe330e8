/*
 * relay - from a server to its client: walks the server's messages by their heads (walk.h), passes
 * ranges on without a copy, swallows the answers to hidden messages, and gives the answers that we
 * owe ourselves. Whose an error is says server_error.h, what a parameter changes reported.h, what
 * comes of a hidden query hidden.h.
 * Bounds:  of messages that are inspected at most RELAY_INSPECT_MAX bytes; relay_buffer bytes wait
 *          for a slow side, then the other is not read.
 */
#ifndef PGWEIR_WORKER_RELAY_H
#define PGWEIR_WORKER_RELAY_H

#include "worker/client.h"
#include "worker/server.h"

#define RELAY_INSPECT_MAX 32768u /* bytes of an ErrorResponse, ParameterStatus … that is read */

/* conn_ops.on_data of a server that has logged in. */
size_t relay_server_data(struct worker *w, struct server *s, const uint8_t *data, size_t len);

/* Output that was stuck has gone: read the other side again. */
void relay_client_drained(struct worker *w, struct client *c);
void relay_server_drained(struct worker *w, struct server *s);

/* After something was put to one side: stop reading the other if too much waits. */
void relay_press_client(struct worker *w, struct client *c); /* the server's output waits */

/* A Flush: give the answers that are ours alone and stand at the head now. */
void relay_answer_synthetic(struct worker *w, struct client *c);

#endif
