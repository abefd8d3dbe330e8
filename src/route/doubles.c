#include "route/doubles.h"

void doubles_see(struct doubles *d, uint16_t n_primaries, uint64_t now_us)
{
	d->n_primaries = n_primaries;
	if (n_primaries > 1 && d->since_us == 0) {
		d->n++;
		d->since_us = now_us;
	} else if (n_primaries <= 1 && d->since_us != 0) {
		d->us += now_us - d->since_us;
		d->since_us = 0;
	}
}

void doubles_promoted(struct doubles *d, uint64_t unseen_us)
{
	d->promotions++;
	d->last_unseen_us = unseen_us;
	d->unseen_us += unseen_us;
}

uint64_t doubles_us(const struct doubles *d, uint64_t now_us)
{
	return d->us + (d->since_us != 0 ? now_us - d->since_us : 0);
}
