/* unit - what every unit test's main does, and random numbers that repeat. */
#ifndef PGWEIR_TEST_UNIT_H
#define PGWEIR_TEST_UNIT_H

#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#define UNIT_TIMEOUT_S 60 /* a sanitizer on a busy machine; a hang is still a failure */

/* For inner loops: ck_assert sends a note to Check's parent process each time, this on failure. */
#define unit_check(cond)                                   \
	do {                                               \
		if (!(cond))                               \
			ck_abort_msg("failed: %s", #cond); \
	} while (0)

/* Run two cases as the suite `name`; `b` may be NULL. Returns main's exit status. */
static inline int unit_run_two(const char *name, TCase *a, TCase *b)
{
	Suite *s = suite_create(name);
	SRunner *r;
	int n_failed;

	tcase_set_timeout(a, UNIT_TIMEOUT_S);
	suite_add_tcase(s, a);
	if (b != NULL) {
		tcase_set_timeout(b, UNIT_TIMEOUT_S);
		suite_add_tcase(s, b);
	}
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	n_failed = srunner_ntests_failed(r);
	srunner_free(r);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Run one case as the suite of its name. Returns main's exit status. */
static inline int unit_run(const char *name, TCase *tc)
{
	return unit_run_two(name, tc, NULL);
}

/* Next number of the sequence that *state names (xorshift64*); start with any but 0. */
static inline uint64_t unit_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

#endif
