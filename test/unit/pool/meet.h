/* meet - two threads that begin each round at nearly the same moment. */
#ifndef PGWEIR_TEST_MEET_H
#define PGWEIR_TEST_MEET_H

#include <sched.h>
#include <stdatomic.h>

struct meet {
	_Atomic unsigned begun[2]; /* rounds, by thread */
};

/* Thread `self`, 0 or 1, is ready for `round`, counted from 0; returns when the other is, too. */
static inline void meet(struct meet *m, unsigned self, unsigned round)
{
	atomic_store(&m->begun[self], round + 1);
	for (unsigned spins = 1; atomic_load(&m->begun[1 - self]) <= round; spins++)
		if (spins % 4096 == 0)
			sched_yield(); /* the other does not run now */
}

#endif
