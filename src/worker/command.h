/* command - what the administrator has a worker do; the answer is ASK_DONE. */
#ifndef PGWEIR_WORKER_COMMAND_H
#define PGWEIR_WORKER_COMMAND_H

#include "worker/ask.h"
#include "worker/worker.h"

void command_run(struct worker *w, const struct tell_command *t);

#endif
