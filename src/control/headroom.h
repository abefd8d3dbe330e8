/*
 * headroom - how full a pool of servers is, how long clients wait for one, and how many it would
 * take. Pure arithmetic. The model is M/M/c: clients come at random, statements take random times.
 * Real ones are rarely worse, except for bursts. Source: J. D. C. Little, "A Proof for the Queuing
 * Formula: L = λW" (1961); A. K. Erlang (1917), formula C.
 */
#ifndef PGWEIR_CONTROL_HEADROOM_H
#define PGWEIR_CONTROL_HEADROOM_H

#include "base/status.h"

#define HEADROOM_SIZE_MAX 10000u

/* The chance that a client has to wait, with `servers` of which `load` are busy on average; 1:
 * always. */
double headroom_wait_chance(uint32_t servers, double load);

/* The wait that a share `q` of clients does not exceed, in units of the time that a server is held.
 */
double headroom_wait_quantile(uint32_t servers, double load, double q);

/* The fewest servers for which that is at most `goal`; HEADROOM_SIZE_MAX: more than can be told. */
uint32_t headroom_size_for(double load, double q, double goal);

struct headroom_trend {
	double now;     /* on the line, at the last sample */
	double per_s;   /* its slope */
	bool is_steady; /* the line explains most of what was seen, and rises or falls by a tenth of
			   it */
};

/* The line through n samples, `every_s` seconds apart, oldest first. */
struct headroom_trend headroom_trend_of(const float *samples, size_t n, double every_s);

/* Seconds until `limit` is reached; negative: it is not, at the present growth. */
double headroom_seconds_to(const struct headroom_trend *t, double limit);

#endif
