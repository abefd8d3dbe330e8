/*
 * failing_alloc - allocations that fail by counter. A test linked with it (test/local.mk) has its
 * malloc, calloc, realloc and strdup replaced. One thread.
 */
#ifndef PGWEIR_TEST_FAILING_ALLOC_H
#define PGWEIR_TEST_FAILING_ALLOC_H

/* From now on `n` allocations succeed and all after them fail. Negative: none fails. */
void failing_alloc_after(long n);

#endif
