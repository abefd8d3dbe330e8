/*
 * reported - ParameterStatus of a server: its client's settings follow the parameters that
 * PostgreSQL reports, and a client sees one set of values, whatever its server's defaults are.
 */
#ifndef PGWEIR_WORKER_REPORTED_H
#define PGWEIR_WORKER_REPORTED_H

#include "proto/frame.h"
#include "state/owed.h"
#include "worker/walk.h"

/*
 * ParameterStatus, complete, at k->at; `step`: what owed_on_reply says of it. What is the server's
 * alone or of a hidden query is left out. The server is closed if the message is malformed, or says
 * that an idle one is of another role.
 */
void reported_came(struct walk *k, const struct frame *f, enum owed_step step);

/*
 * The client has reset parameters, and its unit ends: it is told those that its start-up packet
 * decides, for the server, whose own default may be what it had, may report none.
 */
COLD void reported_put_login(struct worker *w, struct client *c);

#endif
