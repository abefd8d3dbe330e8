/*
 * pam - checks a password with PAM: authentication and the account's state; no session is opened.
 * The only file that includes libpam's headers is pam.c.
 * Threads: any, each check with a handle of its own; modules are to bear that. It blocks for as
 *          long as they do.
 */
#ifndef PGWEIR_CONTROL_PAM_H
#define PGWEIR_CONTROL_PAM_H

#include "control/verify.h"

void pam_verify(const struct verify_question *q, struct verify_answer *out);

#endif
