/*
 * snapshots - the first snapshots in shared (control_prepare of control.h), and the last.
 */
#ifndef PGWEIR_CONTROL_SNAPSHOTS_H
#define PGWEIR_CONTROL_SNAPSHOTS_H

#include "worker/shared.h"

/* Free those that are published now, when no reader is left. */
void snapshots_free(struct shared *sh);

/* For snap_retire. */
void snapshots_free_conf(void *conf);
void snapshots_free_users(void *users);

#endif
