/*
 * judge - what a unit is: the verdicts of its statements, put together.
 * Thread: its worker's. No allocation; a prepared statement keeps its verdict.
 */
#ifndef PGWEIR_WORKER_JUDGE_H
#define PGWEIR_WORKER_JUDGE_H

#include "proto/frontend.h"
#include "sql/classify.h"
#include "worker/client.h"

/*
 * A verdict in one word, kept with a prepared statement: class, flags, pins, whether it has
 * effects, and the generation of the catalog it was judged with. 0: none.
 */
uint64_t judge_word(
	struct worker *w, struct client *c, const char *sql, size_t len, struct sql_verdict *full);

/* The word of a client's statement, judged again if the catalog has changed since. */
uint64_t judge_stmt(struct worker *w, struct client *c, struct stmt_name *name);

static inline bool judge_has_effects(uint64_t word)
{
	return (word >> 63) != 0;
}

#define JUDGE_FLAG_SHIFT 24u /* of the bits of SQLV_* in a word … */
#define JUDGE_FLAG_MASK  0x3ffffu

static inline uint32_t judge_flags(uint64_t word)
{
	return (uint32_t)(word >> JUDGE_FLAG_SHIFT) & JUDGE_FLAG_MASK;
}

/*
 * What EXECUTE runs of `st`, a client's statement: the text inside its PREPARE, or all of one of
 * the protocol's. Returns that text, *len bytes, which is within the statement's; `out` is its
 * verdict.
 */
const char *judge_executed(struct worker *w, struct client *c, const struct stmt *st, size_t *len,
	struct sql_verdict *out);

/* Judge the complete unit of c->busy->unit.len bytes at `data`. Errors: E_PROTO a malformed
 * message. */
__attribute__((noinline)) /* bench/choice.py counts what it costs */
enum status
judge_unit(struct worker *w, struct client *c, const uint8_t *data) MUST_USE;

/* May a client's word send this text to a replica, though it is not proved that it can run there?
 */
bool judge_may_ask_replica(
	struct worker *w, const struct client *c, const char *sql, size_t len) MUST_USE;

/* A Parse of the unnamed statement is sent, among others of its unit or in a stream: what follows
 * binds this one.
 */
void judge_unnamed(struct worker *w, struct client *c, struct rd body);

/* The pin that an effect causes in this version, or PIN_CAUSE_COUNT. */
enum pin_cause judge_pin(const struct sql_effect *e);

#endif
