/*
 * prove - a client that logs in proves who it is: what it is asked for, and its answer. Ends with
 * login_proved, or a refusal that is the same for an unknown user and a wrong password.
 */
#ifndef PGWEIR_WORKER_PROVE_H
#define PGWEIR_WORKER_PROVE_H

#include "proto/scram.h"
#include "worker/client.h"

/* Its start-up packet is taken in: ask for the proof, or have it in as it is. */
void prove_begin(struct worker *w, struct client *c);
/* The same, when it is known which method holds for it (admit.h). */
void prove_admitted(struct worker *w, struct client *c);

/* What a client says in CLIENT_AUTH; returns the bytes used, 0: a message is not complete. */
size_t prove_data(struct worker *w, struct client *c, const uint8_t *data, size_t len);

/* A helper has derived what keys_derive asked for with KEYS_TOKEN_CLIENT. */
void prove_derived(struct worker *w, uint64_t token, const struct scram_keys *keys, enum status st);

/* The proof has failed: refuse it after login_failure_delay, or now that it is over. */
void prove_refuse_delayed(struct worker *w, struct client *c);
void prove_refuse(struct worker *w, struct client *c);

/* auth_query has answered; moved. */
struct ask_secret;
void prove_told(struct worker *w, struct ask_secret *told);

#endif
