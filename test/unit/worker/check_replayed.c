#include "worker/replayed.h"

#include <string.h>

#include "unit.h"

static const struct {
	const char *why;
	enum replay_cause cause;
} whys[] = {
	{"25006", REPLAYED_REFUSED},
	{"0A000", REPLAYED_UNSUPPORTED},
	{"55000", REPLAYED_UNSUPPORTED},
	{"55P03", REPLAYED_RESOURCES},
	{"42P01", REPLAYED_MISSING},
	{"3F000", REPLAYED_MISSING},
	{"40001", REPLAYED_CONFLICT},
	{"53200", REPLAYED_RESOURCES},
	{"58030", REPLAYED_SYSTEM},
	{"XX001", REPLAYED_SYSTEM},
	{"57014", REPLAYED_CANCELED},
	{"57P01", REPLAYED_SHUTDOWN},
	{"08006", REPLAYED_LOST},
	{"server_lost", REPLAYED_LOST},
	{"22012", REPLAYED_OTHER},
	{"", REPLAYED_OTHER},
};

START_TEST(cause_is_told_by_state_or_class)
{
	ck_assert_int_eq(replay_cause_of(whys[_i].why), whys[_i].cause);
}
END_TEST

START_TEST(each_cause_has_a_word_of_its_own)
{
	for (unsigned i = 0; i < REPLAYED_CAUSES; i++) {
		ck_assert_ptr_nonnull(replay_cause_name((enum replay_cause)i));
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(replay_cause_name((enum replay_cause)i),
				replay_cause_name((enum replay_cause)j));
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("replayed");

	tcase_add_loop_test(tc, cause_is_told_by_state_or_class, 0, sizeof whys / sizeof *whys);
	tcase_add_test(tc, each_cause_has_a_word_of_its_own);
	return unit_run("replayed", tc);
}
