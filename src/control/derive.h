/*
 * derive - ASK_DERIVE: the SCRAM keys of passwords, derived on a helper and sent back as
 * TELL_DERIVED. Owns: an ask while it is under way; the asker wipes the password that comes back
 * with it.
 */
#ifndef PGWEIR_CONTROL_DERIVE_H
#define PGWEIR_CONTROL_DERIVE_H

#include "control/env.h"
#include "worker/ask.h"

void derive_take(struct env *env, struct ask_derive *ask); /* moved */

#endif
