/*
 * failing_alloc - allocations that fail by counter. A test linked with it (test/local.mk) has its
 * malloc, calloc, realloc and strdup replaced. Each thread has a counter of its own. Check's
 * assertions allocate as well: keep the result, let allocations succeed again, then assert.
 */
#ifndef PGWEIR_TEST_FAILING_ALLOC_H
#define PGWEIR_TEST_FAILING_ALLOC_H

/* From now on `n` allocations succeed and all after them fail. Negative: none fails. */
void failing_alloc_after(long n);

#endif
