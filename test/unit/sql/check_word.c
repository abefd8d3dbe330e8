#include "sql/word.h"

#include <string.h>

#include "../unit.h"

START_TEST(every_word_is_found_by_its_hash)
{
	for (int w = NOT_A_WORD + 1; w < WORD_COUNT; w++) {
		const char *text = word_text((enum word)w);

		ck_assert_uint_gt(strlen(text), 0);
		ck_assert_int_eq(word_find(word_hash(text, strlen(text))), w);
		ck_assert_int_ne(word_category((enum word)w), WORD_PLAIN);
	}
}
END_TEST

START_TEST(other_words_are_not_found)
{
	static const char *const others[] = {"", "s", "selec", "selectx", "SELECT", "users", "id"};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_int_eq(word_find(word_hash(others[i], strlen(others[i]))), NOT_A_WORD);
	ck_assert_int_eq(word_find(0), NOT_A_WORD);
}
END_TEST

START_TEST(categories_are_those_of_the_server)
{
	ck_assert_int_eq(word_category(WORD_SELECT), WORD_R);
	ck_assert_int_eq(word_category(WORD_JOIN), WORD_T);
	ck_assert_int_eq(word_category(WORD_COALESCE), WORD_C);
	ck_assert_int_eq(word_category(WORD_UPDATE), WORD_U);
	ck_assert_int_eq(word_category(WORD_NEXTVAL), WORD_S);
	ck_assert_int_eq(word_category(NOT_A_WORD), WORD_PLAIN);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("word");

	tcase_add_test(tc, every_word_is_found_by_its_hash);
	tcase_add_test(tc, other_words_are_not_found);
	tcase_add_test(tc, categories_are_those_of_the_server);
	return unit_run("word", tc);
}
