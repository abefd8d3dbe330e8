/* Clients and server connections as bytes for another process: worker/image. */
#include "worker/image.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>

#include "../unit.h"
#include "image_world.h"
#include "proto/frontend.h"

static struct image_world x;
static uint8_t image[IMAGE_LEN_MAX];
static size_t n_left; /* of the image read last */

static void begin(void)
{
	image_world_init(&x);
}

static void end(void)
{
	image_world_fini(&x);
}

static struct settings *set_of(const char *name, const char *value)
{
	struct settings *base = settings_empty(x.w.settings), *set;

	ck_assert_int_eq(settings_put(x.w.settings, base, name, value, &set), OK);
	settings_unref(x.w.settings, base);
	return set;
}

static struct stmt *stmt_of_text(const char *sql)
{
	static const uint8_t types[] = {0, 0, 0, 23};
	struct settings *parse = settings_empty(x.w.settings);
	const struct stmt_text text = {.query = sql,
		.query_len = (uint32_t)strlen(sql),
		.types = types,
		.n_types = 1,
		.parse = parse};
	struct stmt *s;

	ck_assert_int_eq(stmt_intern(x.w.stmts, &text, &s), OK);
	settings_unref(x.w.settings, parse);
	return s;
}

static void name_stmt(struct client *c, const char *name, const char *sql)
{
	struct stmt *s = stmt_of_text(sql);
	struct stmt_name *entry;

	ck_assert_int_eq(stmt_names_put(&c->names, name, s, &entry), OK);
	stmt_unref(x.w.stmts, s);
}

static enum status read_channels(struct client *c, const void *p, size_t len)
{
	struct rd in = rd_of(p, len);

	return notify_read_image(&x.w, c, &in);
}

static void listen_to(struct client *c, const char *channel, uint64_t number)
{
	uint8_t one[128];
	struct wr out = wr_of(one, sizeof one);

	wr_u16(&out, 1);
	wr_cstr(&out, channel);
	wr_u64(&out, number);
	ck_assert_int_eq(read_channels(c, one, out.len), OK);
}

/* A client that has all that an image can tell. */
static struct client *rich_client(void)
{
	static const uint8_t parse[] = "\0SELECT 7\0\0"; /* and the NUL: no types */
	struct client *c = image_client_new(&x);
	struct baseline b = {0};
	struct settings *set;

	c->number = 0x01020304;
	c->key_len = CANCEL_KEY_MAX;
	memset(c->key, 0x5a, sizeof c->key);
	c->connected_us = 11;
	c->request_us = 12;
	c->busy->wait_begun_us = 13;
	c->hint_told = true;
	c->had_broken = true;
	x.acc.learned = calloc(1, sizeof *x.acc.learned);
	x.acc.learned->salt.len = 16;
	x.acc.learned->salt.iterations = 4096;
	x.acc.secret = strdup("md5of-nobody");
	ck_assert_int_eq(baseline_put(&b, "TimeZone", "Etc/UTC"), OK);
	account_set_baseline(&x.w, &x.acc, &b);
	set = set_of("work_mem", "7MB");
	settings_txn_found(&c->set, set);
	settings_unref(x.w.settings, set);
	settings_unref(x.w.settings, c->custom);
	c->custom = set_of("app.user_id", "42");
	c->params = params_new();
	ck_assert_int_eq(params_set(c->params, ASK_ROUTE, "primary", false, false), OK);
	name_stmt(c, "one", "SELECT $1");
	name_stmt(c, "two", "SELECT $1 + 1");
	name_stmt(c, "", "SELECT $1 + 2");
	c->unnamed = calloc(1, sizeof *c->unnamed + sizeof parse);
	c->unnamed->len = c->unnamed->cap = sizeof parse;
	memcpy(c->unnamed->body, parse, sizeof parse);
	listen_to(c, "news", 7);
	listen_to(c, "Other \"channel\"", (uint64_t)3 << 32);
	return c;
}

static size_t put_client(struct client *c)
{
	struct wr out = wr_of(image, sizeof image);

	image_put(c, &out);
	ck_assert(!out.bad);
	image_client_free(&x, c);
	image_world_forget(&x);
	return out.len;
}

static enum status read_client(size_t len, struct image_head *head, struct client **out)
{
	uint8_t *exact = malloc(len != 0 ? len : 1); /* a sanitizer sees a read past it */
	struct client *c = image_client_new(&x);
	struct rd in;
	enum status st;

	memcpy(exact, image, len);
	in = rd_of(exact, len);
	st = image_read_head(&in, head);
	if (st == OK)
		st = image_read_client(&x.w, c, &in);
	n_left = in.left;
	free(exact);
	head->user = head->database = NULL;
	*out = c;
	return st;
}

START_TEST(client_is_read_as_it_was_put)
{
	size_t len = put_client(rich_client());
	static const char want_channels[] = "\0\2news\0\0\0\0\0\0\0\0\7"
					    "Other \"channel\"\0\0\0\0\3\0\0\0\0";
	struct image_head head;
	struct wr channels;
	struct client *c;
	char text[ASK_VALUE_MAX];

	ck_assert_int_eq(read_client(len, &head, &c), OK);
	ck_assert_uint_eq(n_left, 0);
	ck_assert_uint_eq(head.number, 0x01020304);
	ck_assert_uint_eq(head.from.len, 0); /* a unix socket */
	ck_assert_uint_eq(c->key_len, CANCEL_KEY_MAX);
	ck_assert_uint_eq(c->key[CANCEL_KEY_MAX - 1], 0x5a);
	ck_assert_uint_eq(c->connected_us, 11);
	ck_assert_uint_eq(c->request_us, 12);
	ck_assert_uint_eq(c->busy->wait_begun_us, 13);
	ck_assert(c->hint_told);
	ck_assert(c->had_broken);
	ck_assert_uint_eq(x.acc.learned->salt.iterations, 4096);
	ck_assert_str_eq(x.acc.secret, "md5of-nobody");
	ck_assert_str_eq(baseline_get(&x.acc.baseline, "TimeZone"), "Etc/UTC");
	ck_assert_str_eq(settings_get(c->set.current, "work_mem"), "7MB");
	ck_assert_str_eq(settings_get(c->custom, "app.user_id"), "42");
	ask_format(params_now(c->params), ASK_ROUTE, text);
	ck_assert_str_eq(text, "primary");
	ck_assert_str_eq(stmt_names_find(&c->names, "one")->stmt->query, "SELECT $1");
	ck_assert_str_eq(stmt_names_find(&c->names, "two")->stmt->query, "SELECT $1 + 1");
	ck_assert_str_eq(stmt_names_find(&c->names, "")->stmt->query, "SELECT $1 + 2");
	ck_assert_uint_eq(stmt_names_find(&c->names, "two")->stmt->n_types, 1);
	ck_assert_str_eq((const char *)c->unnamed->body + 1, "SELECT 7");
	channels = wr_of(image, sizeof image);
	notify_put_image(c, &channels);
	ck_assert_uint_eq(channels.len, sizeof want_channels - 1);
	ck_assert_mem_eq(image, want_channels, channels.len);
	image_client_free(&x, c);
}
END_TEST

START_TEST(no_part_of_a_client_is_a_client)
{
	size_t len = put_client(rich_client());
	struct image_head head;
	struct client *c;

	for (size_t n = 0; n < len; n++) {
		ck_assert_int_ne(read_client(n, &head, &c), OK);
		image_client_free(&x, c);
		image_world_forget(&x);
	}
}
END_TEST

/* Whatever one byte is: an error or a client, but nothing out of bounds. */
START_TEST(client_with_a_wrong_byte_does_no_harm)
{
	size_t len = put_client(rich_client());

	for (size_t i = 0; i < len; i++) {
		static const uint8_t wrong[] = {0, 1, 0x7f, 0x80, 0xff};
		uint8_t right = image[i];

		for (size_t k = 0; k < sizeof wrong; k++) {
			struct image_head head;
			struct client *c;
			enum status st;

			image[i] = wrong[k];
			st = read_client(len, &head, &c);
			ck_assert(st == OK || st == E_PROTO || st == E_LIMIT || st == E_INVALID ||
				  st == E_EXISTS);
			image_client_free(&x, c);
			image_world_forget(&x);
		}
		image[i] = right;
	}
}
END_TEST

START_TEST(account_that_knows_better_keeps_what_it_has)
{
	size_t len = put_client(rich_client());
	struct image_head head;
	struct client *c;

	x.acc.secret = strdup("its own");
	ck_assert_int_eq(read_client(len, &head, &c), OK);
	ck_assert_str_eq(x.acc.secret, "its own");
	image_client_free(&x, c);
}
END_TEST

START_TEST(address_that_a_proxy_has_told_is_in_the_head)
{
	struct net_addr from = {.len = sizeof from.u.in4};
	struct client *c = image_client_new(&x);
	struct image_head head;
	char text[64];
	size_t len;

	from.u.in4.sin_family = AF_INET;
	ck_assert_int_eq(inet_pton(AF_INET, "203.0.113.7", &from.u.in4.sin_addr), 1);
	net_addr_set_port(&from, 40000);
	ck_assert_int_eq(conn_set_remote(x.conn, &from), OK);
	len = put_client(c);
	ck_assert_int_eq(read_client(len, &head, &c), OK);
	ck_assert_str_eq(net_addr_format(&head.from, text, sizeof text), "203.0.113.7");
	ck_assert_uint_eq(net_addr_port(&head.from), 40000);
	image_client_free(&x, c);
}
END_TEST

/* What fuzz_image begins with; srcdir is set by make check. Returns its length in `image`. */
static size_t load_seed(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	size_t len;
	FILE *f;

	snprintf(path, sizeof path, "%s/test/fuzz/corpus/image/%s", srcdir != NULL ? srcdir : ".",
		name);
	f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "%s: cannot be opened", path);
	ck_assert_int_ne(fgetc(f), EOF); /* whose image it is */
	len = fread(image, 1, sizeof image, f);
	fclose(f);
	return len;
}

START_TEST(clients_of_the_corpus_are_of_this_format)
{
	static const char *const names[] = {"client_plain", "client_rich"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct image_head head;
		struct client *c;

		ck_assert_int_eq(read_client(load_seed(names[i]), &head, &c), OK);
		ck_assert_uint_eq(n_left, 0);
		image_client_free(&x, c);
		image_world_forget(&x);
	}
}
END_TEST

START_TEST(times_that_lie_ahead_are_now)
{
	struct client *c = image_client_new(&x);
	struct image_head head;
	size_t len;

	c->connected_us = x.w.now_us + 1;
	len = put_client(c);
	ck_assert_int_eq(read_client(len, &head, &c), OK);
	ck_assert_uint_eq(c->connected_us, x.w.now_us);
	image_client_free(&x, c);
}
END_TEST

START_TEST(salt_that_is_too_long_is_refused)
{
	struct client *c = image_client_new(&x);
	struct image_head head;
	size_t len;

	x.acc.learned = calloc(1, sizeof *x.acc.learned);
	x.acc.learned->salt.len = sizeof x.acc.learned->salt.bytes + 1;
	len = put_client(c);
	ck_assert_int_eq(read_client(len, &head, &c), E_PROTO);
	ck_assert_ptr_null(x.acc.learned);
	image_client_free(&x, c);
}
END_TEST

START_TEST(unnamed_statement_that_is_none_is_refused)
{
	static const uint8_t no_parse[][4] = {"x\0\0", "\0\0\0", "\0\0x"};

	for (size_t i = 0; i < 3; i++) {
		struct client *c = image_client_new(&x);
		struct image_head head;
		size_t len;

		c->unnamed = calloc(1, sizeof *c->unnamed + 4);
		c->unnamed->len = c->unnamed->cap = 3;
		memcpy(c->unnamed->body, no_parse[i], 3);
		len = put_client(c);
		ck_assert_int_eq(read_client(len, &head, &c), E_PROTO);
		image_client_free(&x, c);
	}
}
END_TEST

START_TEST(channels_that_are_none_are_refused)
{
	static const char twice[] = "\0\2a\0\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\0\1";
	char name[CHANNEL_LEN + 12] = "\0\1";
	struct client *c = image_client_new(&x);

	ck_assert_int_eq(read_channels(c, twice, sizeof twice - 1), E_PROTO);
	ck_assert_int_eq(read_channels(c, "\0\1\0\0\0\0\0\0\0\0\1", 11), E_PROTO);
	ck_assert_int_eq(read_channels(c, "\0\1\xff\0\0\0\0\0\0\0\0\1", 12), E_PROTO);
	memset(name + 2, 'x', CHANNEL_LEN);
	ck_assert_int_eq(read_channels(c, name, sizeof name), E_PROTO);
	ck_assert_int_eq(read_channels(c, "\0\0", 2), OK);
	ck_assert_int_eq(read_channels(c, "\0", 1), E_PROTO);
	image_client_free(&x, c);
}
END_TEST

START_TEST(client_that_takes_too_much_is_told)
{
	struct client *c = image_client_new(&x);
	struct wr out = wr_of(image, 64);

	name_stmt(c, "one",
		"SELECT 'a text that is longer than the room that there is for the whole of it'");
	image_put(c, &out);
	ck_assert(out.bad);
	image_client_free(&x, c);
}
END_TEST

/* --- servers --- */

static void keep_stmt(struct server *s, const char *sql, uint64_t number)
{
	struct stmt *stmt = stmt_of_text(sql);
	struct stmt_lru_entry *e;
	uint64_t victim;

	s->stmts.last_number = number - 1;
	ck_assert_int_eq(stmt_lru_add(&s->stmts, stmt, &e, &victim), OK);
	e->is.ddl = 1;
	e->is.shape = number * 10;
	stmt_unref(x.w.stmts, stmt);
}

static size_t put_server(void)
{
	struct server *s = server_new(&x.w, &x.pool);
	struct wr out = wr_of(image, sizeof image);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5432)};
	struct settings *set = set_of("work_mem", "7MB");

	server_set_settings(&x.w, s, set);
	settings_unref(x.w.settings, set);
	s->backend_pid = 4711;
	s->backend_key_len = 4;
	s->used_us = 12;
	s->in_recovery = true;
	s->serializable = true;
	memcpy(&s->addr, &at, sizeof at);
	s->addr_len = sizeof at;
	keep_stmt(s, "SELECT $1", 7);
	keep_stmt(s, "SELECT $1 + 1", 3);
	s->stmts.last_number = 9;
	image_put_server(s, &out);
	ck_assert(!out.bad);
	server_free(&x.w, s);
	return out.len;
}

static enum status read_server(size_t len, struct server **out)
{
	uint8_t *exact = malloc(len != 0 ? len : 1);
	struct rd in;
	enum status st;

	*out = server_new(&x.w, &x.pool);
	memcpy(exact, image, len);
	in = rd_of(exact, len);
	st = image_read_server(&x.w, *out, &in);
	free(exact);
	return st;
}

START_TEST(server_is_read_as_it_was_put)
{
	size_t len = put_server();
	struct stmt *stmt;
	struct server *s;

	ck_assert_int_eq(read_server(len, &s), OK);
	ck_assert_str_eq(settings_get(s->settings, "work_mem"), "7MB");
	ck_assert_uint_eq(s->backend_pid, 4711);
	ck_assert_uint_eq(s->backend_key_len, 4);
	ck_assert_uint_eq(s->used_us, 12);
	ck_assert(s->in_recovery);
	ck_assert(s->serializable && !s->plain_isolation);
	ck_assert(s->had_temp); /* nobody knows */
	ck_assert_uint_eq(s->addr_len, sizeof(struct sockaddr_in));
	ck_assert_uint_eq(s->stmts.n, 2);
	ck_assert_uint_eq(s->stmts.last_number, 9); /* none is used again */
	stmt = stmt_of_text("SELECT $1");
	ck_assert_uint_eq(stmt_lru_find(&s->stmts, stmt), 7);
	stmt_unref(x.w.stmts, stmt);
	stmt = stmt_of_text("SELECT $1 + 1");
	ck_assert_uint_eq(stmt_lru_find(&s->stmts, stmt), 3);
	stmt_unref(x.w.stmts, stmt);
	server_free(&x.w, s);
}
END_TEST

START_TEST(server_of_the_corpus_is_of_this_format)
{
	struct server *s;

	ck_assert_int_eq(read_server(load_seed("server"), &s), OK);
	ck_assert_uint_eq(s->backend_pid, 4711);
	server_free(&x.w, s);
}
END_TEST

START_TEST(no_part_of_a_server_is_a_server)
{
	size_t len = put_server();
	struct server *s;

	for (size_t n = 0; n < len; n++) {
		ck_assert_int_ne(read_server(n, &s), OK);
		server_free(&x.w, s);
		image_world_forget(&x);
	}
}
END_TEST

START_TEST(server_with_a_wrong_byte_does_no_harm)
{
	size_t len = put_server();

	for (size_t i = 0; i < len; i++) {
		static const uint8_t wrong[] = {0, 1, 0x7f, 0x80, 0xff};
		uint8_t right = image[i];

		for (size_t k = 0; k < sizeof wrong; k++) {
			struct server *s;
			enum status st;

			image[i] = wrong[k];
			st = read_server(len, &s);
			ck_assert(st == OK || st == E_PROTO || st == E_LIMIT || st == E_INVALID);
			server_free(&x.w, s);
			image_world_forget(&x);
		}
		image[i] = right;
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("image");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, client_is_read_as_it_was_put);
	tcase_add_test(tc, no_part_of_a_client_is_a_client);
	tcase_add_test(tc, client_with_a_wrong_byte_does_no_harm);
	tcase_add_test(tc, account_that_knows_better_keeps_what_it_has);
	tcase_add_test(tc, address_that_a_proxy_has_told_is_in_the_head);
	tcase_add_test(tc, clients_of_the_corpus_are_of_this_format);
	tcase_add_test(tc, times_that_lie_ahead_are_now);
	tcase_add_test(tc, salt_that_is_too_long_is_refused);
	tcase_add_test(tc, unnamed_statement_that_is_none_is_refused);
	tcase_add_test(tc, channels_that_are_none_are_refused);
	tcase_add_test(tc, client_that_takes_too_much_is_told);
	tcase_add_test(tc, server_is_read_as_it_was_put);
	tcase_add_test(tc, server_of_the_corpus_is_of_this_format);
	tcase_add_test(tc, no_part_of_a_server_is_a_server);
	tcase_add_test(tc, server_with_a_wrong_byte_does_no_harm);
	return unit_run("image", tc);
}
