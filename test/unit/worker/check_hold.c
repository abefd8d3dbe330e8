#include "worker/hold.h"

#include "../net/net_unit.h"

static struct loop *l;
static struct conn *c;
static struct bufpool pool;
static struct hold h;
static int fd[2];

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	return len;
}

static void on_end(void *arg, enum conn_end why)
{
	(void)arg;
	(void)why;
}

static const struct conn_ops ops = {.on_data = on_data, .on_end = on_end};

static void begin(void)
{
	const struct conn_limits limits = {65536, 1u << 20};

	l = loop_for_test();
	pair_unix(fd);
	ck_assert_int_eq(conn_new(l, fd[0], &ops, NULL, &limits, &c), OK);
	bufpool_init(&pool, 1u << 20);
	h = (struct hold){0};
}

static void end(void)
{
	hold_drop(&h, &pool);
	ck_assert_uint_eq(pool.used_bytes, 0);
	bufpool_fini(&pool);
	conn_free(c);
	loop_free(l);
	close(fd[1]);
}

static void put(const char *text)
{
	ck_assert_int_eq(hold_put(&h, &pool, (const uint8_t *)text, strlen(text)), OK);
}

static void comes_out(const char *text)
{
	char got[256];

	hold_pass(&h, &pool, c);
	conn_flush(c);
	ck_assert_uint_lt(strlen(text), sizeof got);
	read_all(fd[1], got, strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
	ck_assert_uint_eq(hold_len(&h), 0);
	ck_assert_uint_eq(pool.used_bytes, 0);
}

START_TEST(pieces_are_borrowed_and_pass_in_order)
{
	put("one ");
	put("two ");
	put("three");
	ck_assert_uint_eq(hold_len(&h), 13);
	ck_assert_uint_eq(pool.used_bytes, 0);
	comes_out("one two three");
}
END_TEST

START_TEST(what_is_kept_outlives_its_chunk)
{
	char chunk[] = "one ";

	ck_assert_int_eq(hold_put(&h, &pool, (const uint8_t *)chunk, 4), OK);
	ck_assert_int_eq(hold_keep(&h, &pool), OK);
	memset(chunk, 'x', sizeof chunk);
	put("two ");
	put("three");
	ck_assert_uint_eq(hold_len(&h), 13);
	comes_out("one two three");
}
END_TEST

START_TEST(copies_stand_behind_what_is_borrowed)
{
	char text[] = "two ";

	put("one ");
	ck_assert_int_eq(hold_put_copy(&h, &pool, text, 4), OK);
	memset(text, 'x', sizeof text);
	put("three");
	comes_out("one two three");
}
END_TEST

START_TEST(more_pieces_than_places_are_kept)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

	_Static_assert(sizeof letters > 3 * HOLD_PIECES, "the places are filled three times");
	for (size_t i = 0; letters[i] != '\0'; i++) {
		ck_assert_int_eq(hold_put(&h, &pool, (const uint8_t *)&letters[i], 1), OK);
		ck_assert_uint_eq(hold_len(&h), i + 1);
	}
	comes_out(letters);
}
END_TEST

START_TEST(nothing_held_passes_nothing)
{
	ck_assert_int_eq(hold_keep(&h, &pool), OK);
	ck_assert_uint_eq(hold_len(&h), 0);
	hold_pass(&h, &pool, c);
	ck_assert_uint_eq(conn_bytes_out(c), 0);
	put("alive");
	comes_out("alive");
}
END_TEST

START_TEST(dropping_gives_the_buffer_back)
{
	put("one");
	ck_assert_int_eq(hold_keep(&h, &pool), OK);
	ck_assert_uint_gt(pool.used_bytes, 0);
	hold_drop(&h, &pool);
	ck_assert_uint_eq(pool.used_bytes, 0);
	ck_assert_uint_eq(hold_len(&h), 0);
}
END_TEST

START_TEST(more_than_the_largest_buffer_is_refused_and_nothing_lost)
{
	static const uint8_t large[BUFPOOL_MAX];

	ck_assert_int_eq(hold_put_copy(&h, &pool, "first", 5), OK);
	ck_assert_int_eq(hold_put_copy(&h, &pool, large, sizeof large), E_NOMEM);
	ck_assert_int_eq(hold_put(&h, &pool, large, sizeof large), OK);
	ck_assert_int_eq(hold_keep(&h, &pool), E_NOMEM);
	ck_assert_uint_eq(hold_len(&h), sizeof large + 5);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("hold");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, pieces_are_borrowed_and_pass_in_order);
	tcase_add_test(tc, what_is_kept_outlives_its_chunk);
	tcase_add_test(tc, copies_stand_behind_what_is_borrowed);
	tcase_add_test(tc, more_pieces_than_places_are_kept);
	tcase_add_test(tc, nothing_held_passes_nothing);
	tcase_add_test(tc, dropping_gives_the_buffer_back);
	tcase_add_test(tc, more_than_the_largest_buffer_is_refused_and_nothing_lost);
	return unit_run("hold", tc);
}
