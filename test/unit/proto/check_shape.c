#include "proto/shape.h"

#include <string.h>

#include "../unit.h"
#include "base/wr.h"

static const struct hash_key key = {3, 4};

struct column {
	const char *name;
	uint32_t table, type, modifier;
	uint16_t number, format;
};

static uint64_t shape_of(const struct column *columns, uint16_t n)
{
	uint8_t buf[256];
	struct wr out = wr_of(buf, sizeof buf);
	uint64_t shape = 0;

	wr_u16(&out, n);
	for (uint16_t i = 0; i < n; i++) {
		wr_cstr(&out, columns[i].name);
		wr_u32(&out, columns[i].table);
		wr_u16(&out, columns[i].number);
		wr_u32(&out, columns[i].type);
		wr_u16(&out, 4);
		wr_u32(&out, columns[i].modifier);
		wr_u16(&out, columns[i].format);
	}
	ck_assert(!out.bad);
	ck_assert_int_eq(shape_read(&key, rd_of(buf, out.len), &shape), OK);
	ck_assert_uint_gt(shape, SHAPE_NO_DATA);
	for (size_t len = 0; len < out.len; len++)
		ck_assert_int_eq(shape_read(&key, rd_of(buf, len), &shape), E_PROTO);
	ck_assert_int_eq(shape_read(&key, rd_of(buf, out.len + 1), &shape), E_PROTO);
	ck_assert_int_eq(shape_read(&key, rd_of(buf, out.len), &shape), OK);
	return shape;
}

START_TEST(names_types_and_modifiers_count)
{
	static const struct column base[] = {{"a", 1, 23, 7, 1, 0}, {"b", 1, 25, 7, 2, 0}};
	struct column other[2];
	uint64_t shape = shape_of(base, 2);

	ck_assert_uint_ne(shape_of(base, 1), shape);
	ck_assert_uint_ne(shape_of(base, 0), shape);
	ck_assert_uint_ne(shape_of(base + 1, 1), shape_of(base, 1));
	for (unsigned i = 0; i < 2; i++) {
		memcpy(other, base, sizeof base);
		other[i].name = "c";
		ck_assert_uint_ne(shape_of(other, 2), shape);
		memcpy(other, base, sizeof base);
		other[i].type = 20;
		ck_assert_uint_ne(shape_of(other, 2), shape);
		memcpy(other, base, sizeof base);
		other[i].modifier = 8;
		ck_assert_uint_ne(shape_of(other, 2), shape);
	}
	other[0] = base[1];
	other[1] = base[0];
	ck_assert_uint_ne(shape_of(other, 2), shape);
}
END_TEST

START_TEST(table_and_format_do_not_count)
{
	static const struct column base = {"a", 1, 23, 7, 1, 0}, same = {"a", 9, 23, 7, 4, 1};

	ck_assert_uint_eq(shape_of(&base, 1), shape_of(&same, 1));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("shape");

	tcase_add_test(tc, names_types_and_modifiers_count);
	tcase_add_test(tc, table_and_format_do_not_count);
	return unit_run("shape", tc);
}
