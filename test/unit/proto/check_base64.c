#include "proto/base64.h"

#include "bytes.h"

static enum status decode(const char *s, size_t cap, uint8_t *out, size_t *len)
{
	return base64_read(s, strlen(s), out, cap, len);
}

START_TEST(vectors_of_rfc_4648)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "+/+/"}};
	char text[16];
	uint8_t back[16];
	size_t len;

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		size_t n = strlen(pairs[i][0]);
		struct wr w = wr_of(text, sizeof text);

		base64_put(&w, (const uint8_t *)pairs[i][0], n);
		ck_assert_uint_eq(w.len, BASE64_LEN(n));
		ck_assert_uint_eq(w.len, strlen(pairs[i][1]));
		ck_assert_mem_eq(text, pairs[i][1], w.len);
		ck_assert_int_eq(decode(pairs[i][1], sizeof back, back, &len), OK);
		ck_assert_uint_eq(len, n);
		ck_assert_mem_eq(back, pairs[i][0], n);
	}
}
END_TEST

START_TEST(every_byte_comes_back)
{
	uint8_t raw[256], back[256];
	char text[BASE64_LEN(256)];
	struct wr w;
	size_t len;

	for (unsigned i = 0; i < 256; i++)
		raw[i] = (uint8_t)(i * 7 + 3);
	for (size_t n = 0; n <= 256; n++) {
		w = wr_of(text, sizeof text);
		base64_put(&w, raw, n);
		ck_assert(!w.bad);
		ck_assert_int_eq(base64_read(text, w.len, back, sizeof back, &len), OK);
		ck_assert_uint_eq(len, n);
		ck_assert_mem_eq(back, raw, n);
	}
}
END_TEST

START_TEST(other_texts_are_refused)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "====", "=",
		"Z===", "Zg==Zg==", "Zm=v", "Zm9v ", " Zm9v", "Zm9\n", "Zm9-", "Zm9_", "Zm9{",
		"Zm9[", "Zm9@", "Zm9:", "Zh==", "Zm9=", "Zm8=Zm8=", "Zg=a"};
	uint8_t back[16];
	size_t len;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(decode(bad[i], sizeof back, back, &len) == E_PROTO, "%s", bad[i]);
	ck_assert_int_eq(base64_read("Zm\0v", 4, back, sizeof back, &len), E_PROTO);
}
END_TEST

START_TEST(result_is_bounded)
{
	uint8_t back[8];
	size_t len;

	ck_assert_int_eq(decode("Zm9vYg==", 3, back, &len), E_LIMIT);
	ck_assert_int_eq(decode("Zm9vYg==", 4, back, &len), OK);
	ck_assert_int_eq(decode("Zm9vYmE=", 4, back, &len), E_LIMIT);
	ck_assert_int_eq(decode("Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy", 4, back, &len), E_LIMIT);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("base64");

	tcase_add_test(tc, vectors_of_rfc_4648);
	tcase_add_test(tc, every_byte_comes_back);
	tcase_add_test(tc, other_texts_are_refused);
	tcase_add_test(tc, result_is_bounded);
	return unit_run("base64", tc);
}
