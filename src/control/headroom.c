#include "control/headroom.h"

#include <math.h>

/* Erlang's formula B by its recursion, which neither overflows nor loses digits; C follows from it.
 */
double headroom_wait_chance(uint32_t servers, double load)
{
	double b = 1;

	if (load <= 0)
		return 0;
	if (load >= servers)
		return 1;
	for (uint32_t i = 1; i <= servers; i++)
		b = load * b / (i + load * b);
	return b / (1 - load / servers * (1 - b));
}

double headroom_wait_quantile(uint32_t servers, double load, double q)
{
	double chance = headroom_wait_chance(servers, load);

	if (load >= servers)
		return HUGE_VAL;
	if (chance <= 1 - q)
		return 0;
	return log(chance / (1 - q)) / (servers - load);
}

uint32_t headroom_size_for(double load, double q, double goal)
{
	uint32_t n;

	if (load >= HEADROOM_SIZE_MAX)
		return HEADROOM_SIZE_MAX;
	n = (uint32_t)load + 1;
	while (n < HEADROOM_SIZE_MAX && headroom_wait_quantile(n, load, q) > goal)
		n++;
	return n;
}

struct headroom_trend headroom_trend_of(const float *samples, size_t n, double every_s)
{
	double mean_x = ((double)n - 1) / 2, mean_y = 0, xx = 0, xy = 0, yy = 0, slope;
	struct headroom_trend t = {.now = n != 0 ? (double)samples[n - 1] : 0};

	if (n < 3)
		return t;
	for (size_t i = 0; i < n; i++)
		mean_y += (double)samples[i] / (double)n;
	for (size_t i = 0; i < n; i++) {
		double x = (double)i - mean_x, y = (double)samples[i] - mean_y;

		xx += x * x;
		xy += x * y;
		yy += y * y;
	}
	slope = xy / xx;
	t.now = mean_y + slope * mean_x;
	t.per_s = slope / every_s;
	t.is_steady =
		yy > 0 && xy * xy / (xx * yy) >= 0.5 && fabs(slope * (double)n) >= mean_y / 10;
	return t;
}

double headroom_seconds_to(const struct headroom_trend *t, double limit)
{
	if (t->now >= limit)
		return 0;
	return t->is_steady && t->per_s > 0 ? (limit - t->now) / t->per_s : -1;
}
