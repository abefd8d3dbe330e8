#include "sql/trace.h"

#include <string.h>

#include "../unit.h"

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const char *of(const char *sql)
{
	static char out[TRACE_SIZE];

	ck_assert_int_eq(trace_read(sql, strlen(sql), out), out[0] != '\0');
	return out;
}

START_TEST(a_trace_context_is_found_where_it_is_written)
{
	static const char *const texts[] = {
		"SELECT 1 /*traceparent='" GOOD "'*/",
		"SELECT 1 /* action='x',traceparent='" GOOD "',x='y' */ ; \n",
		"/*traceparent=" GOOD "*/ SELECT 1",
		"SELECT 1 /*traceparent=" GOOD ",x=y*/",
		"SELECT 1 /* traceparent=" GOOD " */",
		"SELECT 1 /*traceparent='00%2D0af7651916cd43dd8448eb211c80319c%2db7ad6b7169203331"
		"%2D01'*/",
		"SELECT 1 /*traceparent='%30%30-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
		"01',tracestate='a%3D1'*/",
		" /* db_driver='a', traceparent='" GOOD "'*/SELECT 1 /* other */",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_str_eq(of(texts[i]), GOOD);
}
END_TEST

START_TEST(what_is_none_is_not_taken_for_one)
{
	static const char *const texts[] = {
		"",
		"/",
		"*/",
		"/*/",
		"/**/",
		"SELECT 1",
		"SELECT '/*traceparent=''" GOOD "''*/' ",
		"SELECT 1 /*xtraceparent='" GOOD "'*/",
		"SELECT 1 "
		"/*traceparent='00-00000000000000000000000000000000-b7ad6b7169203331-01'*/",
		"SELECT 1 "
		"/*traceparent='00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01'*/",
		"SELECT 1 "
		"/*traceparent='00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/",
		"SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0'*/",
		"SELECT 1 /*traceparent='" GOOD "*/",
		"SELECT 1 /*traceparent='" GOOD "5'*/",
		"SELECT 1 /*traceparent=" GOOD "5*/",
		"SELECT 1 /*traceparent=" GOOD "'*/",
		"SELECT 1 /*traceparent='" GOOD "%'*/",
		"SELECT 1 /*traceparent='00%2X0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
		"01'*/",
		"SELECT 1 "
		"/*traceparent='ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_str_eq(of(texts[i]), "");
}
END_TEST

START_TEST(a_long_comment_is_not_looked_into)
{
	static char sql[2 * TRACE_COMMENT_MAX];

	memset(sql, ' ', sizeof sql - 1);
	memcpy(sql, "/*", 2);
	memcpy(sql + sizeof sql - 70, "traceparent=" GOOD "*/", 69);
	ck_assert_str_eq(of(sql), "");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("trace");

	tcase_add_test(tc, a_trace_context_is_found_where_it_is_written);
	tcase_add_test(tc, what_is_none_is_not_taken_for_one);
	tcase_add_test(tc, a_long_comment_is_not_looked_into);
	return unit_run("trace", tc);
}
