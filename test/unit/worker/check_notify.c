#include "worker/notify.h"

#include <stdlib.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../net/net_unit.h"
#include "sql/lexer.h"
#include "worker/kept.h"
#include "worker/server.h"

#define PID 0x1000007u /* of the client: worker 0, slot 7 */

static struct hash_key key = {1, 2};
static struct shared sh;
static struct worker w;
static struct conf conf;
static struct conf_db entry;
static struct dbase db;
static struct account acc;
static struct client c;
static struct busy lent;
static struct server s;
static struct pool pool;
static struct log quiet;
static int fd[2], server_fd[2];

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

static void no_wake(void *arg)
{
	(void)arg;
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	(void)t;
}

static void begin_client(void)
{
	struct settings *login = settings_empty(w.settings);

	lent = busy_none;
	c = (struct client){.w = &w,
		.slot = 7,
		.number = PID,
		.state = CLIENT_IDLE,
		.db = &db,
		.acc = &acc,
		.busy = &lent};
	c.sql_opts = SQL_STD_STRINGS | SQL_ENC_UTF8;
	settings_txn_init(&c.set, w.settings, &login);
	stmt_names_init(&c.names, w.stmts, 10);
	wheel_timer_init(&c.timer, on_timer);
	list_push_back(&w.clients, &c.link);
}

static void begin_worker(void)
{
	const struct conn_limits limits = {65536, 1u << 20};

	memset(&sh, 0, sizeof sh);
	memset(&w, 0, sizeof w);
	sh.hash_key = key;
	mailbox_init(&sh.control, no_wake, NULL);
	w.sh = &sh;
	w.log = &quiet;
	w.now_us = 1;
	w.conf = &conf;
	w.loop = loop_for_test();
	wheel_init(&w.wheel, w.now_us);
	list_init(&w.dbase_list);
	list_init(&w.clients);
	list_push_back(&w.dbase_list, &db.link);
	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &w.settings), OK);
	ck_assert_int_eq(stmt_table_new(&key, 1u << 20, w.settings, &w.stmts), OK);
	ck_assert_int_eq(notify_new(&w, &w.notify), OK);
	begin_client();
	pair_unix(fd);
	pair_unix(server_fd);
	ck_assert_int_eq(conn_new(w.loop, fd[0], &ops, NULL, &limits, &c.conn), OK);
	ck_assert_int_eq(conn_new(w.loop, server_fd[0], &ops, NULL, &limits, &s.conn), OK);
}

static void begin(void)
{
	conf = (struct conf){
		.monitor_user = "mon", .notify_queue = 16384, .node_timeout_us = 1000000};
	entry = (struct conf_db){.monitor_user = "", .user = "", .auth_user = "", .n_nodes = 1};
	memset(&db, 0, sizeof db);
	db.conf = &entry;
	strcpy(db.name, "app");
	acc = (struct account){.db = &db, .mode = POOL_MODE_TRANSACTION};
	ck_assert_int_eq(baseline_put(&acc.baseline, "client_encoding", "UTF8"), OK);
	ck_assert_int_eq(baseline_put(&acc.baseline, "server_encoding", "UTF8"), OK);
	pool = (struct pool){.acc = &acc};
	s = (struct server){.pool = &pool, .txn_status = 'I'};
	list_init(&s.barrier_link);
	begin_worker();
}

/* The one thing that it has asked of the control thread; the caller's. NULL: nothing. */
static struct mail *asked(void)
{
	struct mail *found = NULL, *next;

	for (struct mail *m = mailbox_take(&sh.control); m != NULL; m = next) {
		next = m->next;
		if (m->kind != ASK_LISTEN && m->kind != ASK_BARRIER && m->kind != ASK_UNMARKED) {
			/* the catalog */
			free(m);
			continue;
		}
		ck_assert_ptr_null(found);
		found = m;
	}
	return found;
}

static void end(void)
{
	notify_client_gone(&w, &c);
	pins_clear(&c.busy->pins, &sh.pins);
	free(asked());
	conn_free(c.conn);
	conn_free(s.conn);
	close(fd[1]);
	close(server_fd[1]);
	wheel_del(&w.wheel, &c.timer);
	settings_txn_fini(&c.set);
	stmt_names_fini(&c.names);
	notify_free(&w, w.notify);
	stmt_table_free(w.stmts);
	settings_table_free(w.settings);
	baseline_fini(&acc.baseline);
	loop_free(w.loop);
	ck_assert_uint_eq(atomic_load(&sh.notify.subscribed), 0);
}

/* --- what the test says to it --- */

/* The unit waits for a channel that nobody has listened to yet? */
static bool unit_waits(const char *sql)
{
	uint8_t q[256] = {'Q', 0, 0, 0, (uint8_t)(4 + strlen(sql) + 1)};

	memcpy(q + 5, sql, strlen(sql));
	c.busy->unit = (struct unit){.len = (uint32_t)(5 + strlen(sql) + 1), .listens = true};
	return notify_unit_waits(&w, &c, q);
}

static void tell_round(enum listening_what what, const char *channel, uint64_t round)
{
	struct tell_listening *t = calloc(1, sizeof *t);

	t->round = round;
	t->mail.kind = TELL_LISTENING;
	t->what = what;
	strcpy(t->database, "app");
	strcpy(t->channel, channel);
	notify_take(&w, &t->mail);
}

static void tell(enum listening_what what, const char *channel)
{
	tell_round(what, channel, 0);
}

static void is_wanted(const char *channel, bool wanted)
{
	struct ask_listen *a = (struct ask_listen *)(void *)asked();

	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq(a->mail.kind, ASK_LISTEN);
	ck_assert_str_eq(a->database, "app");
	ck_assert_str_eq(a->channel, channel);
	ck_assert_int_eq(a->wanted, wanted);
	free(a);
}

/* Its own unit has made it listen. */
static void listen_to(const char *channel)
{
	char sql[128];

	snprintf(sql, sizeof sql, "LISTEN \"%s\"", channel);
	if (unit_waits(sql)) {
		is_wanted(channel, true);
		tell(LISTENING_ON, channel);
	}
	ck_assert(!unit_waits(sql));
	notify_note(&w, &c, NOTIFY_LISTEN, channel);
	notify_commit(&w, &c);
	notify_txn_ended(&w, &c);
}

static void notify_numbered(const char *channel, const char *payload, uint32_t pid, uint64_t number)
{
	size_t len = 9 + strlen(channel) + 1 + strlen(payload) + 1;
	struct tell_notified *t = calloc(1, sizeof *t + len);
	struct wr out = wr_of(t->message, len);

	t->mail.kind = TELL_NOTIFIED;
	strcpy(t->database, "app");
	strcpy(t->channel, channel);
	t->pid = pid;
	t->number = number;
	t->is_ascii = (*payload & 0x80) == 0;
	t->len = (uint32_t)len;
	wr_u8(&out, 'A');
	wr_u32(&out, (uint32_t)len - 1);
	wr_u32(&out, pid);
	wr_cstr(&out, channel);
	wr_cstr(&out, payload);
	notify_take(&w, &t->mail);
}

static void notify(const char *channel, const char *payload, uint32_t pid)
{
	notify_numbered(channel, payload, pid, 0);
}

static void hears(const char *payload)
{
	size_t channel_len = 2, len = 9 + channel_len + strlen(payload) + 1;
	char got[256];

	ck_assert_uint_lt(len, sizeof got);
	read_all(fd[1], got, len);
	ck_assert_int_eq(got[0], 'A');
	ck_assert_str_eq(got + 9 + channel_len, payload);
}

static void hears_nothing(void)
{
	char got;

	ck_assert_int_eq(recv(fd[1], &got, 1, MSG_DONTWAIT), -1);
}

START_TEST(a_unit_waits_until_its_channels_are_listened_to)
{
	ck_assert(unit_waits("LISTEN A"));
	is_wanted("a", true);
	ck_assert(unit_waits("LISTEN a")); /* still */
	ck_assert_ptr_null(asked());
	tell(LISTENING_ON, "other");
	ck_assert(unit_waits("LISTEN a"));
	tell(LISTENING_ON, "a");
	ck_assert(!unit_waits("LISTEN a"));
	ck_assert_uint_eq(wheel_next_us(&w.wheel), UINT64_MAX);
	tell(LISTENING_DOWN, "");
	ck_assert(unit_waits("LISTEN a"));
	tell(LISTENING_REFUSED, "");
	ck_assert(!c.busy->unit.listens); /* it pins */
	ck_assert_uint_eq(c.busy->unit.pins, 1u << PIN_LISTEN);
	is_wanted("a", false);
	notify_txn_ended(&w, &c);
	ck_assert_ptr_null(c.listening);
}
END_TEST

START_TEST(a_unit_that_has_waited_too_long_pins)
{
	ck_assert(unit_waits("LISTEN a"));
	is_wanted("a", true);
	wheel_run(&w.wheel, w.now_us += conf.node_timeout_us / 2, 10, &w);
	ck_assert(unit_waits("LISTEN a"));
	ck_assert(c.busy->unit.listens);
	wheel_run(&w.wheel, w.now_us += conf.node_timeout_us, 10, &w);
	ck_assert(!c.busy->unit.listens);
	ck_assert_uint_eq(c.busy->unit.pins, 1u << PIN_LISTEN);
	is_wanted("a", false);
}
END_TEST

START_TEST(names_that_cannot_be_shared_pin)
{
	static const char *const bad[] = {
		"LISTEN \"\"", "LISTEN \"\xff\"", "LISTEN \"\xed\xa0\x80\""};

	c.sql_opts = SQL_STD_STRINGS; /* of SQL_ASCII: nobody has looked at the bytes yet */
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!unit_waits(bad[i]));
		ck_assert_uint_eq(c.busy->unit.pins, 1u << PIN_LISTEN);
		ck_assert_ptr_null(asked());
	}
	ck_assert(unit_waits("LISTEN gr\xc3\xb6\xc3\x9f"
			     "E"));
	is_wanted("gr\xc3\xb6\xc3\x9f"
		  "e",
		true);
	notify_client_gone(&w, &c);
	is_wanted("gr\xc3\xb6\xc3\x9f"
		  "e",
		false);
	baseline_fini(&acc.baseline);
	ck_assert_int_eq(baseline_put(&acc.baseline, "server_encoding", "LATIN1"), OK);
	ck_assert_int_eq(baseline_put(&acc.baseline, "client_encoding", "LATIN1"), OK);
	ck_assert(!unit_waits("LISTEN gr\xc3\xb6\xc3\x9f"
			      "e"));
	ck_assert_ptr_null(asked());
}
END_TEST

START_TEST(which_clients_share)
{
	ck_assert(notify_is_shared(&w, &c));
	acc.mode = POOL_MODE_STATEMENT;
	ck_assert(notify_is_shared(&w, &c));
	acc.mode = POOL_MODE_SESSION;
	ck_assert(!notify_is_shared(&w, &c));
	acc.mode = POOL_MODE_TRANSACTION;
	entry.n_nodes = 2; /* which one would it be? */
	ck_assert(!notify_is_shared(&w, &c));
	entry.routing = true;
	ck_assert(notify_is_shared(&w, &c));
	conf.monitor_user = conf.auth_user = "";
	ck_assert(!notify_is_shared(&w, &c));
	conf.monitor_user = "mon";
	ck_assert_int_eq(settings_txn_set(&c.set, "client_encoding", "LATIN1"), OK);
	ck_assert(!notify_is_shared(&w, &c));
	ck_assert_int_eq(settings_txn_set(&c.set, "client_encoding", "SQL_ASCII"), OK);
	ck_assert(notify_is_shared(&w, &c));
}
END_TEST

START_TEST(listen_counts_from_commit)
{
	ck_assert(unit_waits("LISTEN a"));
	is_wanted("a", true);
	tell(LISTENING_ON, "a");
	notify_note(&w, &c, NOTIFY_LISTEN, "a");
	notify("a", "early", 1);
	hears_nothing();
	notify_commit(&w, &c);
	notify("a", "now", 1);
	hears("now");
	notify("b", "other", 1);
	hears_nothing();
}
END_TEST

START_TEST(rollback_leaves_what_was)
{
	listen_to("a");
	ck_assert(unit_waits("LISTEN b"));
	is_wanted("b", true);
	tell(LISTENING_ON, "b");
	notify_note(&w, &c, NOTIFY_UNLISTEN, "a");
	notify_note(&w, &c, NOTIFY_LISTEN, "b");
	notify_rollback(&w, &c);
	notify_txn_ended(&w, &c);
	is_wanted("b", false);
	notify("a", "still", 1);
	hears("still");
}
END_TEST

START_TEST(a_savepoint_keeps_what_came_before_it)
{
	uint32_t n;

	listen_to("a");
	listen_to("b");
	ck_assert_uint_eq(notify_n_ops(&c), 0);
	notify_note(&w, &c, NOTIFY_UNLISTEN, "a");
	n = notify_n_ops(&c);
	notify_note(&w, &c, NOTIFY_UNLISTEN_ALL, NULL);
	notify_note(&w, &c, NOTIFY_LISTEN, "a");
	notify_rollback_to(&c, n);
	notify_commit(&w, &c);
	notify_txn_ended(&w, &c);
	is_wanted("a", false);
	notify("b", "b", 1);
	hears("b");
	notify_note(&w, &c, NOTIFY_UNLISTEN_ALL, NULL);
	notify_commit(&w, &c);
	notify_txn_ended(&w, &c);
	is_wanted("b", false);
	ck_assert_ptr_null(c.listening);
}
END_TEST

static void txn_ends(bool committed)
{
	if (committed)
		notify_commit(&w, &c);
	else
		notify_rollback(&w, &c);
	c.txn = TXN_NONE;
	notify_put_waiting(&w, &c);
	conn_flush(c.conn);
	notify_txn_ended(&w, &c);
}

/* It may come ahead of the answer that says LISTEN. */
START_TEST(own_notifications_come_to_who_listens_when_the_transaction_is_over)
{
	for (unsigned committed = 0; committed < 2; committed++) {
		ck_assert(unit_waits("LISTEN a"));
		is_wanted("a", true);
		tell(LISTENING_ON, "a");
		c.txn = TXN_OPEN;
		notify("a", "others", 1);
		notify("a", "own", PID);
		notify_note(&w, &c, NOTIFY_LISTEN, "a");
		txn_ends(committed != 0);
		if (committed == 0)
			is_wanted("a", false);
		else
			hears("own");
		hears_nothing();
	}
	c.txn = TXN_OPEN;
	notify("a", "others", 1);
	notify("a", "own", PID);
	notify_note(&w, &c, NOTIFY_UNLISTEN, "a");
	txn_ends(true);
	is_wanted("a", false);
	hears_nothing();
}
END_TEST

START_TEST(inside_a_transaction_they_wait)
{
	listen_to("a");
	c.txn = TXN_OPEN;
	notify("a", "one", 1);
	notify("a", "two", 1);
	hears_nothing();
	c.txn = TXN_NONE;
	notify("a", "three", 1); /* in their order */
	hears("one");
	hears("two");
	hears("three");
	c.busy->streaming = true;
	notify("a", "four", 1);
	hears_nothing();
	c.busy->streaming = false;
	notify_put_waiting(&w, &c);
	conn_flush(c.conn);
	hears("four");
}
END_TEST

START_TEST(what_the_client_cannot_read_is_said)
{
	char got[8];

	listen_to("a");
	ck_assert_int_eq(settings_txn_set(&c.set, "client_encoding", "LATIN1"), OK);
	notify("a", "plain", 1);
	hears("plain");
	notify("a", "\xc3\xa4", 1);
	read_all(fd[1], got, 1);
	ck_assert_int_eq(got[0], 'N');
}
END_TEST

START_TEST(a_loss_is_told_to_those_who_listen)
{
	char got;

	listen_to("a");
	tell(LISTENING_DOWN, "");
	hears_nothing();
	tell(LISTENING_ON, "a");
	tell(LISTENING_LOST, "");
	read_all(fd[1], &got, 1);
	ck_assert_int_eq(got, 'N');
}
END_TEST

static void link_server(void)
{
	c.server = &s;
	s.client = &c;
	c.state = CLIENT_ACTIVE;
}

static struct ask_barrier *barrier_asked(uint64_t number)
{
	struct ask_barrier *a = (struct ask_barrier *)(void *)asked();

	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq(a->mail.kind, ASK_BARRIER);
	ck_assert_uint_eq(a->number, number);
	return a;
}

/* The control thread answers. */
static void barrier_comes(struct ask_barrier *a)
{
	a->mail.kind = TELL_BARRIER;
	notify_take(&w, &a->mail);
}

START_TEST(the_answer_of_who_may_have_notified_waits_for_the_barrier)
{
	struct ask_barrier *a;

	link_server();
	c.busy->unit_writes = true;
	ck_assert(!notify_ready_waits(&w, &c)); /* it does not listen */
	c.busy->txn_notifies = true;
	ck_assert(!notify_ready_waits(&w, &c)); /* nobody does */
	atomic_store(&sh.notify.channels, 1);
	ck_assert(notify_ready_waits(&w, &c));
	ck_assert(notify_ready_waits(&w, &c)); /* one barrier is enough */
	a = barrier_asked(1);
	conn_rx_pause(s.conn);
	barrier_comes(a);
	ck_assert(!conn_rx_is_paused(s.conn));
	ck_assert(!notify_ready_waits(&w, &c));
	c.busy->txn_notifies = false;
	ck_assert(!notify_ready_waits(&w, &c));
	c.server = NULL;
	c.state = CLIENT_IDLE;
	listen_to("a");
	link_server();
	ck_assert(notify_ready_waits(&w, &c)); /* a trigger may have */
	free(barrier_asked(2));
	notify_server_gone(&w, &s);
	s.barrier = 0;
	s.in_recovery = true;
	ck_assert(!notify_ready_waits(&w, &c));
}
END_TEST

START_TEST(who_writes_is_known_by_the_backend)
{
	link_server();
	s.backend_pid = 4711;
	notify_note_writer(&w, &c);
	ck_assert_uint_eq(backends_get(&sh.backends, 0, 4711), PID);
	notify_server_gone(&w, &s);
	ck_assert_uint_eq(backends_get(&sh.backends, 0, 4711), 0);
}
END_TEST

/* --- in a take-over --- */

static void unmarked_is_answered(uint64_t round)
{
	struct ask_unmarked *a = (struct ask_unmarked *)(void *)asked();

	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq(a->mail.kind, ASK_UNMARKED);
	ck_assert_str_eq(a->database, "app");
	ck_assert_uint_eq(a->round, round);
	free(a);
}

START_TEST(who_listens_may_go_when_all_its_channels_are_marked)
{
	ck_assert(notify_can_go(&c));
	listen_to("a");
	listen_to("b");
	ck_assert(!notify_can_go(&c));
	tell_round(LISTENING_MARKED, "a", 1);
	ck_assert(!notify_can_go(&c));
	tell_round(LISTENING_MARKED, "b", 1);
	ck_assert(notify_can_go(&c));
	notify_note(&w, &c, NOTIFY_UNLISTEN, "b");
	ck_assert(!notify_can_go(&c)); /* its transaction has not ended */
	notify_commit(&w, &c);
	notify_txn_ended(&w, &c);
	is_wanted("b", false);
	ck_assert(notify_can_go(&c));
	ck_assert(unit_waits("LISTEN b"));
	is_wanted("b", true);
	ck_assert(!notify_can_go(&c));        /* its unit waits */
	tell_round(LISTENING_MARKED, "b", 1); /* for the channel as it was before */
	tell(LISTENING_ON, "b");
	ck_assert(!unit_waits("LISTEN b"));
	notify_note(&w, &c, NOTIFY_LISTEN, "b");
	notify_commit(&w, &c);
	ck_assert(!notify_can_go(&c));
	tell_round(LISTENING_UNMARKED, "", 2);
	unmarked_is_answered(2);
	ck_assert(!notify_can_go(&c));
	tell_round(LISTENING_MARKED, "a", 2);
	tell_round(LISTENING_MARKED, "b", 2);
	ck_assert(notify_can_go(&c));
	tell(LISTENING_DOWN, "");
	tell(LISTENING_ON, "a");
	tell(LISTENING_ON, "b");
	ck_assert(!notify_can_go(&c));
	notify_note(&w, &c, NOTIFY_UNLISTEN, "b");
	notify_commit(&w, &c);
	notify_txn_ended(&w, &c);
	is_wanted("b", false);
}
END_TEST

/* How far it has heard on the channel, as its image tells. */
static uint64_t number_in_image(void)
{
	uint8_t image[64];
	struct wr out = wr_of(image, sizeof image);
	struct rd in;

	notify_put_image(&c, &out);
	ck_assert(!out.bad);
	in = rd_of(image, out.len);
	ck_assert_uint_eq(rd_u16(&in), 1);
	ck_assert_str_eq(rd_cstr(&in), "a");
	return rd_u64(&in);
}

START_TEST(the_image_tells_how_far_it_has_heard)
{
	const uint64_t first = kept_first(3);

	notify("a", "nobody's", 1);
	listen_to("a");
	notify("a", "one", 1);
	hears("one");
	ck_assert_uint_eq(number_in_image(), 0);
	notify_numbered("a", "two", 1, first + 1); /* the marker has come to the control thread */
	hears("two");
	ck_assert_uint_eq(number_in_image(), first + 1);
	tell_round(LISTENING_MARKED, "a", 3);
	ck_assert_uint_eq(number_in_image(), first + 1);
	tell_round(LISTENING_UNMARKED, "", 4);
	unmarked_is_answered(4);
	tell_round(LISTENING_MARKED, "a", 4); /* nothing has come since the marker */
	ck_assert_uint_eq(number_in_image(), kept_first(4));
	notify_numbered("a", "three", 1, kept_first(4) + 1);
	hears("three");
	notify_numbered("b", "other", 1, kept_first(4) + 7);
	ck_assert_uint_eq(number_in_image(), kept_first(4) + 1);
}
END_TEST

/* What came before its LISTEN is not given over there either. */
START_TEST(who_begins_to_listen_has_no_claim_to_what_came_before)
{
	struct listening *first;

	listen_to("a");
	tell_round(LISTENING_MARKED, "a", 1);
	notify_numbered("a", "one", 1, kept_first(1) + 1);
	hears("one");
	first = c.listening;
	c.listening = NULL;
	listen_to("a");
	ck_assert_uint_eq(number_in_image(), kept_first(1) + 1);
	ck_assert(notify_can_go(&c));
	notify_client_gone(&w, &c);
	c.listening = first;
}
END_TEST

/* A client of the old process that listens to one channel. */
static enum status arrives(struct client *who, const char *channel, uint64_t number)
{
	uint8_t image[128];
	struct wr out = wr_of(image, sizeof image);
	struct rd in;

	wr_u16(&out, 1);
	wr_cstr(&out, channel);
	wr_u64(&out, number);
	in = rd_of(image, out.len);
	return notify_read_image(&w, who, &in);
}

START_TEST(who_comes_hears_what_it_has_not_heard)
{
	const uint64_t first = kept_first(1);

	notify_numbered("a", "before", 1, 0);
	tell_round(LISTENING_KEEP, "", 1);
	notify_numbered("a", "one", 1, first + 1);
	notify_numbered("b", "of another channel", 1, first + 1);
	notify_numbered("a", "two", 1, first + 2);
	notify_numbered("a", "three", 1, first + 3);
	ck_assert_int_eq(arrives(&c, "a", first + 1), OK);
	is_wanted("a", true);
	hears_nothing();
	notify_arrived(&w, &c);
	hears("two");
	hears("three");
	notify_numbered("a", "four", 1, first + 4);
	hears("four");
	tell_round(LISTENING_UNMARKED, "", 1); /* the old process has ended */
	unmarked_is_answered(1);
	notify_numbered("a", "five", 1, first + 5);
	hears("five");
	notify_numbered("a", "six", 1, 0); /* after a loss */
	hears("six");
	hears_nothing();
}
END_TEST

START_TEST(who_has_heard_more_does_not_hear_it_again)
{
	const uint64_t first = kept_first(1);

	tell_round(LISTENING_KEEP, "", 1);
	notify_numbered("a", "one", 1, first + 1);
	ck_assert_int_eq(arrives(&c, "a", first + 3), OK);
	is_wanted("a", true);
	notify_arrived(&w, &c);
	notify_numbered("a", "two", 1, first + 2);
	notify_numbered("a", "three", 1, first + 3);
	hears_nothing();
	notify_numbered("a", "four", 1, first + 4);
	hears("four");
}
END_TEST

START_TEST(who_comes_when_nothing_is_kept_is_told)
{
	char got[8];

	tell_round(LISTENING_KEEP, "", 2);
	notify_numbered("a", "of another marker", 1, kept_first(2) + 1);
	ck_assert_int_eq(arrives(&c, "a", kept_first(1) + 1), OK);
	is_wanted("a", true);
	notify_arrived(&w, &c);
	read_all(fd[1], got, 1);
	ck_assert_int_eq(got[0], 'N');
	while (recv(fd[1], got, sizeof got, MSG_DONTWAIT) > 0)
		;
	notify_client_gone(&w, &c);
	is_wanted("a", false);
	tell(LISTENING_DOWN, "");
	ck_assert_int_eq(arrives(&c, "a", kept_first(2) + 1), OK);
	is_wanted("a", true);
	notify_arrived(&w, &c);
	read_all(fd[1], got, 1);
	ck_assert_int_eq(got[0], 'N');
}
END_TEST

/* More deliveries than one turn makes, when the marker and the client come. */
START_TEST(what_waits_from_before_the_marker_is_not_for_who_comes)
{
	static struct client many[NOTIFY_PER_TURN + 1];
	const uint64_t first = kept_first(1);

	lent.streaming = true; /* nobody but the last is given it at once */
	for (unsigned i = 0; i < NOTIFY_PER_TURN + 1; i++) {
		many[i] = (struct client){
			.w = &w, .db = &db, .acc = &acc, .conn = c.conn, .busy = &lent};
		ck_assert_int_eq(arrives(&many[i], "b", 0), OK);
		free(asked());
	}
	ck_assert_int_eq(arrives(&many[0], "a", 0), OK);
	is_wanted("a", true);
	notify("b", "much to do", 1);
	notify("a", "before", 1);
	tell_round(LISTENING_KEEP, "", 1);
	notify_numbered("a", "one", 1, first + 1);
	notify_numbered("a", "two", 1, first + 2);
	lent.streaming = false;
	ck_assert_int_eq(arrives(&c, "a", first + 1), OK);
	notify_arrived(&w, &c);
	hears_nothing();
	wheel_run(&w.wheel, w.now_us += 1, 10, &w);
	lent.streaming = true;
	hears("two");
	hears_nothing();
	for (unsigned i = 0; i < NOTIFY_PER_TURN + 1; i++)
		notify_client_gone(&w, &many[i]);
	is_wanted("b", false);
	lent.streaming = false;
}
END_TEST

START_TEST(without_memory_listen_pins)
{
	bool waits;

	failing_alloc_after(0);
	waits = unit_waits("LISTEN a");
	failing_alloc_after(-1);
	ck_assert(!waits);
	ck_assert_uint_eq(c.busy->unit.pins, 1u << PIN_LISTEN);
	ck_assert(unit_waits("LISTEN a"));
	is_wanted("a", true);
	tell(LISTENING_ON, "a");
	failing_alloc_after(0);
	notify_note(&w, &c, NOTIFY_LISTEN, "a");
	failing_alloc_after(-1);
	ck_assert(pins_has(&c.busy->pins, PIN_LISTEN));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("notify");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, a_unit_waits_until_its_channels_are_listened_to);
	tcase_add_test(tc, a_unit_that_has_waited_too_long_pins);
	tcase_add_test(tc, names_that_cannot_be_shared_pin);
	tcase_add_test(tc, which_clients_share);
	tcase_add_test(tc, listen_counts_from_commit);
	tcase_add_test(tc, rollback_leaves_what_was);
	tcase_add_test(tc, a_savepoint_keeps_what_came_before_it);
	tcase_add_test(tc, own_notifications_come_to_who_listens_when_the_transaction_is_over);
	tcase_add_test(tc, inside_a_transaction_they_wait);
	tcase_add_test(tc, what_the_client_cannot_read_is_said);
	tcase_add_test(tc, a_loss_is_told_to_those_who_listen);
	tcase_add_test(tc, the_answer_of_who_may_have_notified_waits_for_the_barrier);
	tcase_add_test(tc, who_writes_is_known_by_the_backend);
	tcase_add_test(tc, without_memory_listen_pins);
	tcase_add_test(tc, who_listens_may_go_when_all_its_channels_are_marked);
	tcase_add_test(tc, the_image_tells_how_far_it_has_heard);
	tcase_add_test(tc, who_begins_to_listen_has_no_claim_to_what_came_before);
	tcase_add_test(tc, who_comes_hears_what_it_has_not_heard);
	tcase_add_test(tc, who_has_heard_more_does_not_hear_it_again);
	tcase_add_test(tc, who_comes_when_nothing_is_kept_is_told);
	tcase_add_test(tc, what_waits_from_before_the_marker_is_not_for_who_comes);
	return unit_run("notify", tc);
}
