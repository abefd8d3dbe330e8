#include "control/history.h"

#include "views_unit.h"

/*
 * What SHOW HEADROOM says of the growth. The clients are counted exactly, whatever the time, so
 * a known series can be fed: one value for each sample.
 */
#define CONF                                           \
	"[databases]\napp = host=10.0.0.1\n[pgweir]\n" \
	"listen_addr = x\nworkers = 2\nhistory_period = %s\nmax_client_conn = "

static struct views v;
static struct console_client c;
static struct history *h;
static struct show_pool_row *clients;

static void begin(const char *max_client_conn)
{
	char conf[512];

	snprintf(conf, sizeof conf, CONF "%s\n", "20ms", max_client_conn);
	views_init(&v, conf);
	clients = views_pool(&v, 0, "app", "u", -1);
	ck_assert_int_eq(history_new(&v.w.env, v.gather, &h), OK);
	v.tools.in.history = h;
	console_open(&c, &v, "adm", true);
	console_wait(&c, 1);
}

static void end(void)
{
	console_close(&c);
	history_free(h);
	views_fini(&v);
}

/* n samples of `from`, `from` + `step` …, and what SHOW HEADROOM says then. */
static void after(uint32_t n, uint32_t from, int32_t step)
{
	uint32_t seen = history_n(h);

	for (uint32_t i = 0; i < n; i++) {
		clients->cl_active = from + (uint32_t)((int32_t)i * step);
		world_turn_until(&v.w, history_n(h) == seen + i + 1);
	}
	console_query(&c, "SHOW HEADROOM");
}

#define ck_says(row) ck_assert_msg(strstr(c.text, row) != NULL, "no %s in\n%s", row, c.text)

/* limit used peak utilisation, rate held waits, size, growth full advice */
#define CLIENTS(limit, used, growth) \
	"\nD|clients|NULL|NULL|NULL|" limit "|" used "|0.00|0|0|0|0|" limit "|" growth "\n"

static const struct {
	const char *limit;
	uint32_t from;
	int32_t step; /* a sample, 20 ms */
	const char *row;
} growths[] = {
	/* 170 now and 500 a second, so 9,830 take 19.66 s; 120 to 170 are the last six */
	{"10000", 100, 10,
		CLIENTS("10000", "145|170|1.45 %",
			"1800000|19|Saturates first. At the present growth it is full in 20 "
			"seconds: raise max_client_conn.")},
	/* 800 now and 5,000 a second: 199.84 s */
	{"1000000", 100, 100,
		CLIENTS("1000000", "550|800|0.06 %",
			"18000000|199|Saturates first. At the present growth it is full in 3 "
			"minutes: raise max_client_conn.")},
	/* 17 now and 50 a second: 19,999.66 s */
	{"1000000", 10, 1,
		CLIENTS("1000000", "14|17|0.00 %",
			"180000|19999|Saturates first. At the present growth it is full in 6 "
			"hours: raise max_client_conn.")},
	{"10000", 100, 0, CLIENTS("10000", "100|100|1.00 %", "0.00|-1|Enough.")},
	{"10000", 170, -10, CLIENTS("10000", "125|170|1.25 %", "-1800000|-1|Enough.")},
	{"200", 170, 0,
		CLIENTS("200", "170|170|85 %",
			"0.00|-1|Saturates first. Nearly full: raise max_client_conn.")},
	{"200", 270, -10,
		CLIENTS("200", "225|270|112 %",
			"-1800000|0|Saturates first. Nearly full: raise max_client_conn.")},
};

START_TEST(the_growth_is_told_in_words)
{
	begin(growths[_i].limit);
	after(8, growths[_i].from, growths[_i].step);
	ck_says(growths[_i].row);
	ck_says("\nD|workers|NULL|NULL|NULL|2|0.00|0.00|0.00 %|0.00|0|0|0|0|2|0.00|-1|Enough.\n");
	end();
}
END_TEST

/* A steep growth, but of too few samples to be believed. */
START_TEST(nothing_is_foretold_from_little)
{
	begin("10000");
	after(HISTORY_SOME - 1, 100, 1000);
	ck_says("|-1|Too early to tell: ask again in a minute.\n");
	ck_assert_uint_eq(console_count(&c, "Saturates first"), 0);
	after(1, 100 + (HISTORY_SOME - 1) * 1000, 0);
	ck_assert_uint_eq(console_count(&c, "Too early"), 0);
	ck_says("|0|Saturates first. At the present growth it is full in 0 seconds: ");
	end();
}
END_TEST

/* What is full already comes first, then what will be. */
START_TEST(what_is_full_comes_before_what_grows)
{
	struct show_worker_row *worker;

	begin("10000");
	worker = &views_row(&v, 1, SHOW_ROWS_WORKER)->worker;
	for (uint32_t i = 0; i < 8; i++) {
		worker->cpu_us += 1000000000; /* in 20 ms, or in what it took: of 2 cores */
		after(1, 100 + 10 * i, 0);
	}
	ck_says("|0|Saturates first. Nearly full: raise workers, or run a second pgweir.\n");
	ck_says("|19|At the present growth it is full in 20 seconds: raise max_client_conn.\n");
	ck_assert(strstr(c.text, "\nD|workers|") < strstr(c.text, "\nD|clients|"));
	end();
}
END_TEST

/* Read at the new spacing the old samples would tell another growth. */
START_TEST(another_period_begins_anew)
{
	char conf[512];

	begin("10000");
	after(HISTORY_SOME, 5000, -100);
	ck_assert_uint_eq(history_n(h), HISTORY_SOME);
	snprintf(conf, sizeof conf, CONF "10000\n", "40ms");
	world_set_conf(&v.w, conf);
	ck_assert_double_eq(history_every_s(h), 0.02); /* what it has */
	clients->cl_active = 100;
	world_turn_until(&v.w, history_n(h) == 1);
	ck_assert_double_eq(history_every_s(h), 0.04);
	console_query(&c, "SHOW HEADROOM");
	ck_says("|-1|Too early to tell: ask again in a minute.\n");
	after(7, 110, 10);
	ck_assert_uint_eq(history_n(h), 8);
	/* 170 now and 250 a second: 9,830 take 39.32 s; the 5,000 are no peak any more */
	ck_says(CLIENTS("10000", "145|170|1.45 %",
		"900000|39|Saturates first. At the present growth it is full in 39 seconds: "
		"raise max_client_conn."));
	end();
}
END_TEST

/* No samples, no pools; what happens meanwhile is not taken for a sample of later. */
START_TEST(switched_off_it_keeps_nothing)
{
	char conf[512];

	begin("10000");
	after(HISTORY_SOME, 5000, 0);
	ck_assert_uint_gt(history_n_headroom(h), 0);
	snprintf(conf, sizeof conf, CONF "10000\nhistory = 0\n", "20ms");
	world_set_conf(&v.w, conf);
	ck_assert_uint_eq(history_n(h), 0);
	ck_assert_uint_eq(history_n_headroom(h), 0);
	world_turn_until(&v.w, history_every_s(h) == 0);
	console_query(&c, "SHOW HEADROOM");
	ck_assert_ptr_nonnull(strstr(c.text, "switched off: history = 0"));
	ck_assert_uint_eq(console_count(&c, "\nD|"), 0);

	views_row(&v, 1, SHOW_ROWS_WORKER)->worker.cpu_us += 1000000000;
	snprintf(conf, sizeof conf, CONF "10000\n", "20ms");
	world_set_conf(&v.w, conf);
	world_turn_until(&v.w, history_n(h) == 1);
	ck_assert_double_eq(history_at(h, 0)[HISTORY_CPU], 0);
	after(HISTORY_SOME - 1, 5000, 0);
	ck_says(CLIENTS("10000", "5000|5000|50 %", "0.00|-1|Enough."));
	end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("history");

	tcase_add_loop_test(tc, the_growth_is_told_in_words, 0, sizeof growths / sizeof *growths);
	tcase_add_test(tc, nothing_is_foretold_from_little);
	tcase_add_test(tc, another_period_begins_anew);
	tcase_add_test(tc, switched_off_it_keeps_nothing);
	tcase_add_test(tc, what_is_full_comes_before_what_grows);
	return unit_run("history", tc);
}
