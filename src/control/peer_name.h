/*
 * peer_name - looks up the name of a system user (ASK_PEER) on a helper: the name service may be
 * slow.
 */
#ifndef PGWEIR_CONTROL_PEER_NAME_H
#define PGWEIR_CONTROL_PEER_NAME_H

#include "control/env.h"
#include "worker/ask.h"

/* Moves `ask`; its worker is answered with TELL_PEER. */
void peer_name_take(struct env *env, struct ask_peer *ask);

#endif
