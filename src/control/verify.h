/*
 * verify - checks of passwords that block for as long as they like: PAM modules, LDAP servers. They
 * run on threads of their own, beside the helpers, and are answered with TELL_VERIFIED.
 * Owns:    the threads, the line of checks, and each check until it is answered.
 * Threads: all calls from the control thread; a check runs on a thread that touches only it.
 * Bounds:  auth_helper_threads at work, auth_helper_queue in line, auth_helper_timeout for each,
 * and VERIFY_GRACE_US more for one that runs. A thread that is stuck in its check then is left to
 * it and another takes its place, at most auth_helper_threads times; it ends when it comes back.
 * While more are stuck, there are fewer at work. Starts:  threads as they are needed, none before
 * the first check.
 */
#ifndef PGWEIR_CONTROL_VERIFY_H
#define PGWEIR_CONTROL_VERIFY_H

#include "control/env.h"
#include "worker/ask.h"

#define VERIFY_GRACE_US 250000u

enum { VERIFY_MAIL = 1001 }; /* mail.kind of a check that comes back; beside HELPERS_MAIL */

/* Runs on a thread. deadline_us: monotonic, until when it is to give up by itself. */
struct verify_question {
	const struct ask_verify *ask;
	const struct method_options *options;
	uint64_t deadline_us;
};

struct verify_answer {
	enum verify_result result;
	char why[sizeof((struct tell_verified *)NULL)->why];
};

enum verify_method { VERIFY_PAM, VERIFY_LDAP, VERIFY_METHODS };

/* How each method checks; NULL: the build lacks it. */
struct verify_ops {
	void (*check[VERIFY_METHODS])(const struct verify_question *q, struct verify_answer *out);
};

/* Of one method: how many there are now, and results since the start. */
struct verify_count {
	uint32_t waiting, running, stuck; /* stuck: answered, and its thread has not come back */
	uint64_t results[VERIFY_RESULT_COUNT];
};

struct verify;

/* ops: borrowed. Errors: E_NOMEM. */
enum status verify_new(struct env *env, const struct verify_ops *ops, struct verify **out) MUST_USE;

void verify_take(struct verify *v, struct ask_verify *ask); /* moved */
/*
 * Take it out of the line, and count it as VERIFY_GONE; there is no answer. One that runs, or is on
 * its way back, is answered all the same.
 */
void verify_unask(struct verify *v, const struct ask_unasked *ask);
void verify_finish(struct verify *v, struct mail *m); /* a mail of kind VERIFY_MAIL */
void verify_ask_free(struct ask_verify *ask);         /* wipes */

struct verify_count verify_count(struct verify *v, enum verify_method method);
const char *verify_method_name(enum verify_method method);
const char *verify_result_name(enum verify_result result);

/*
 * End. Checks in line are dropped, running ones waited for, at most `wait_ms`. False: a thread is
 * still busy; it and `v` are left alone for ever (the process is about to end). Checks that are on
 * their way back come as mail all the same.
 */
bool verify_stop(struct verify *v, uint32_t wait_ms);
void verify_free(struct verify *v); /* after verify_stop was true; NULL is allowed */

/* `why` of an answer, and its result. */
void verify_say(struct verify_answer *out, enum verify_result result, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

uint64_t verify_left_us(const struct verify_question *q); /* 0: none */

#endif
