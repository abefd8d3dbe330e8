/*
 * log - one event a line: fixed text, then key=value. Formats; the sink (set by main, or by a
 * test) writes. Any thread may log if the sink allows it.
 * Bounds: a line is cut at LOG_LINE_MAX bytes; a call site that exceeds LOG_SITE_BURST lines a
 *         second is silenced until the next second, and then tells how many it left out.
 */
#ifndef PGWEIR_BASE_LOG_H
#define PGWEIR_BASE_LOG_H

#include <stdarg.h>
#include <stdatomic.h>

#include "base/status.h"

#define LOG_LINE_MAX   1024u
#define LOG_SITE_BURST 50u
#define LOG_Q_MIN      4u /* bytes of the smallest buffer for log_q */
#define LOG_Q_NAME     256u
#define LOG_Q_TEXT     640u

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
	_Atomic int level; /* highest enum log_level that is written */
	/* Write one event; `kv` is "key=value key=value", already escaped, maybe "". */
	void (*sink)(void *arg, enum log_level lv, const char *text, const char *kv);
	void *sink_arg;
	/* Seconds of a monotonic clock, for the bound per call site; NULL: no such bound. */
	uint64_t (*now_s)(void);
};

struct log_site { /* one static per call site */
	_Atomic uint64_t second;
	_Atomic uint32_t n;
	_Atomic uint32_t n_left_out;
};

/*
 * `text` is fixed words without values; `fmt` formats "key=value …" (may be ""). Values from
 * peers go through log_q.
 */
COLD void log_event(struct log *l, struct log_site *site, enum log_level lv, const char *text,
	const char *fmt, ...) PRINTF_LIKE(5, 6);

/*
 * `s` as a value: as it is when it is plain, else quoted and escaped, cut at what fits `buf`.
 * cap: LOG_Q_MIN or more. Returns buf. NULL gives "-".
 */
const char *log_q(char *buf, size_t cap, const char *s);

/* log_q into a buffer of the log statement's own: names, and texts that may be longer. */
#define LOG_Q(s)      log_q((char[LOG_Q_NAME]){0}, LOG_Q_NAME, (s))
#define LOG_Q_LONG(s) log_q((char[LOG_Q_TEXT]){0}, LOG_Q_TEXT, (s))

#define LOG_AT(l, lv, text, ...)                                                            \
	do {                                                                                \
		if ((int)(lv) <= atomic_load_explicit(&(l)->level, memory_order_relaxed)) { \
			static struct log_site log_site_;                                   \
			log_event((l), &log_site_, (lv), (text), __VA_ARGS__);              \
		}                                                                           \
	} while (0)

#define log_error(l, text, ...) LOG_AT(l, LOG_ERROR, text, __VA_ARGS__)
#define log_warn(l, text, ...)  LOG_AT(l, LOG_WARN, text, __VA_ARGS__)
#define log_info(l, text, ...)  LOG_AT(l, LOG_INFO, text, __VA_ARGS__)
#define log_debug(l, text, ...) LOG_AT(l, LOG_DEBUG, text, __VA_ARGS__)

#endif
