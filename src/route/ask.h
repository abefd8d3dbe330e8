/*
 * ask - what a client asks of the routing beyond its configuration: by parameters (SET pgweir.…),
 * or by a hint in a comment ahead of a statement. Pure. Owns:   nothing; no allocation. Order:  a
 * statement's hint goes before its block's, that before the client's parameters, these before the
 * configuration's.
 */
#ifndef PGWEIR_ROUTE_ASK_H
#define PGWEIR_ROUTE_ASK_H

#include "route/choose.h"

#define ASK_NAME_MAX  32u /* bytes of a parameter's name without "pgweir.", the NUL counted */
#define ASK_VALUE_MAX 64u /* bytes of a value, the NUL counted */

enum ask_param {
	ASK_CONSISTENCY, /* eventual, session, database, strong */
	ASK_LAST_LSN,    /* read only: what covers all that the client has written and read */
	ASK_MAX_LAG,     /* time; without a unit seconds, as in the configuration */
	ASK_MIN_LSN,     /* LSN, LSN@timeline, or "": no replica below it */
	ASK_ROUTE,       /* auto, primary, replica */
	ASK_PARAMS
};

/* "consistency" …: the name behind "pgweir."; ASK_PARAMS: there is none such. Lower case. */
enum ask_param ask_find(const char *name);
const char *ask_name(enum ask_param p);   /* with "pgweir." */
const char *ask_values(enum ask_param p); /* for a HINT; "" where any text may be right */

struct ask {
	uint8_t consistency; /* enum choose_consistency + 1; 0: not asked for */
	uint8_t route;       /* enum choose_route + 1 (auto, primary, replica); 0: not asked for */
	bool has_max_lag;
	uint64_t max_lag_us;
	struct wal_point min_lsn; /* lsn 0: none */
};

/* Set one by its text. Errors: E_INVALID, nothing is changed; also of ASK_LAST_LSN. */
enum status ask_put(struct ask *a, enum ask_param p, const char *value) MUST_USE;
/* Take one over from another. */
void ask_take(struct ask *a, enum ask_param p, const struct ask *from);
/* Its text; "" if it is not asked for. */
void ask_format(const struct ask *a, enum ask_param p, char text[ASK_VALUE_MAX]);

/* What `over` asks for goes before what `a` does. */
void ask_merge(struct ask *a, const struct ask *over);

const char *ask_consistency_name(enum choose_consistency c);

/*
 * Read the hints of a comment at the beginning of a text: slash, star, "pgweir:", words separated
 * by blanks or commas. Other comments may stand before it. True if there are any. unknown: the
 * first word that is none, cut at ASK_VALUE_MAX; "" if all were understood.
 */
bool ask_read_hints(const char *sql, size_t len, struct ask *out, char unknown[ASK_VALUE_MAX]);

/* Cheap: can there be hints? */
static inline bool ask_may_have_hints(const char *sql, size_t len)
{
	return len > 1 && (sql[0] == '/' || (uint8_t)sql[0] <= ' ');
}

#endif
