#include "worker/moving.h"

#include <string.h>

#include "../unit.h"
#include "proto/frontend.h"
#include "route/params.h"
#include "state/settings.h"

static struct conf_db conf;
static struct dbase db;
static struct account acc;
static struct client c;
static struct busy lent;
static struct server s;
static struct deferred d;
static struct settings_table *table;
static const struct hash_key key = {1, 2};

/* A deferred block whose first unit is a plain read, of a client without a server. */
static void begin(void)
{
	struct settings *login;

	conf = (struct conf_db){.routing = true};
	memset(&db, 0, sizeof db);
	memset(&acc, 0, sizeof acc);
	memset(&c, 0, sizeof c);
	memset(&s, 0, sizeof s);
	memset(&d, 0, sizeof d);
	db.conf = &conf;
	db.moves = true;
	acc.db = &db;
	acc.plain_isolation = true;
	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &table), OK);
	login = settings_empty(table);
	settings_txn_init(&c.set, table, &login);
	lent = busy_none;
	c.busy = &lent;
	c.db = &db;
	c.acc = &acc;
	c.busy->deferred = &d;
	c.txn = TXN_DEFERRED;
	c.busy->unit =
		(struct unit){.n_stmts = 1, .cls = SQL_READ, .flags = SQLV_REPLICA, .runs = true};
}

static void end(void)
{
	params_free(c.params);
	c.params = NULL;
	settings_txn_fini(&c.set);
	settings_table_free(table);
}

static void set(const char *name, const char *value)
{
	ck_assert_int_eq(settings_txn_set(&c.set, name, value), OK);
}

START_TEST(every_cause_has_a_word_of_its_own)
{
	for (unsigned i = 0; i < MOVED_CAUSE_COUNT; i++) {
		ck_assert_str_ne(moved_cause_name((enum moved_cause)i), "?");
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(moved_cause_name((enum moved_cause)i),
				moved_cause_name((enum moved_cause)k));
	}
	ck_assert_str_eq(moved_cause_name(MOVED_CAUSE_COUNT), "?");
}
END_TEST

START_TEST(a_block_begins_on_a_replica_with_a_plain_read)
{
	const struct unit plain = c.busy->unit;

	ck_assert(moving_may_begin(&c));
	ck_assert(moving_is_read(&c));
	c.busy->unit.flags = 0;
	ck_assert(!moving_may_begin(&c));
	c.busy->unit = plain;
	c.busy->unit.flags |= SQLV_TXN_TIME;
	ck_assert(!moving_may_begin(&c));
	ck_assert(!moving_is_read(&c));
	c.busy->unit = plain;
	c.busy->unit.pins = 1;
	ck_assert(!moving_may_begin(&c));
	c.busy->unit = plain;
	c.busy->unit.has_effects = true;
	ck_assert(!moving_may_begin(&c));
	c.busy->unit = plain;
	c.busy->unit.keeps_portal = true;
	ck_assert(!moving_may_begin(&c));
	c.busy->unit = plain;
	c.busy->moves = MOVES_DONE;
	ck_assert(!moving_may_begin(&c));
}
END_TEST

START_TEST(the_isolation_must_be_known_to_be_read_committed)
{
	acc.plain_isolation = false;
	ck_assert(!moving_may_begin(&c));
	d.modes.isolation = ISOLATION_READ_COMMITTED;
	ck_assert(moving_may_begin(&c));
	d.modes.isolation = ISOLATION_READ_UNCOMMITTED;
	ck_assert(moving_may_begin(&c));
	d.modes.isolation = ISOLATION_REPEATABLE_READ;
	ck_assert(!moving_may_begin(&c));
	d.modes.isolation = ISOLATION_SERIALIZABLE;
	ck_assert(!moving_may_begin(&c));
	d.modes.isolation = ISOLATION_UNSET;
	set("default_transaction_isolation", "read committed");
	ck_assert(moving_may_begin(&c));
	set("default_transaction_isolation", "Repeatable Read");
	acc.plain_isolation = true;
	ck_assert(!moving_may_begin(&c));
}
END_TEST

START_TEST(read_only_and_read_write_blocks_are_as_ever)
{
	d.modes.read_only = TRI_YES;
	ck_assert(!moving_may_begin(&c));
	d.modes.read_only = TRI_UNSET;
	d.modes.needs_primary = true;
	ck_assert(!moving_may_begin(&c));
	d.modes.needs_primary = false;
	set("default_transaction_read_only", "on");
	ck_assert(!moving_may_begin(&c));
	d.modes.read_only = TRI_NO;
	ck_assert(moving_may_begin(&c));
}
END_TEST

START_TEST(who_must_see_others_does_not_begin_there)
{
	acc.consistency = CONSISTENCY_STRONG;
	ck_assert(!moving_may_begin(&c));
	acc.consistency = CONSISTENCY_DATABASE;
	ck_assert(!moving_may_begin(&c));
	c.busy->unit.ask.consistency = CHOOSE_EVENTUAL + 1;
	ck_assert(moving_may_begin(&c));
	acc.consistency = CONSISTENCY_SESSION;
	c.busy->unit.ask.consistency = CHOOSE_STRONG + 1;
	ck_assert(!moving_may_begin(&c));
}
END_TEST

START_TEST(wishes_of_the_block_hold_on_the_replica)
{
	acc.consistency = CONSISTENCY_STRONG;
	d.ask.consistency = CHOOSE_EVENTUAL + 1;
	c.txn = TXN_OPEN;
	c.busy->moves = MOVES_REPLICA;
	ck_assert(moving_is_read(&c));
	c.busy->unit.ask.consistency = CHOOSE_STRONG + 1;
	ck_assert(!moving_is_read(&c));
	ck_assert_int_eq(moving_cause_of(&c), MOVED_ASKED);
	c.busy->unit.ask.consistency = 0;
	c.busy->unit.ask.route = CHOOSE_ROUTE_PRIMARY + 1;
	ck_assert(!moving_is_read(&c));
	ck_assert_int_eq(moving_cause_of(&c), MOVED_ASKED);
}
END_TEST

START_TEST(what_runs_nothing_stays)
{
	c.busy->unit = (struct unit){.n_stmts = 0};
	ck_assert(moving_is_read(&c));
	ck_assert(!moving_may_begin(&c));
	c.busy->unit.uses_portal = true;
	ck_assert(!moving_is_read(&c));
}
END_TEST

START_TEST(why_it_moves)
{
	c.busy->unit.flags = 0;
	ck_assert_int_eq(moving_cause_of(&c), MOVED_UNKNOWN);
	c.busy->unit.cls = SQL_SESSION;
	ck_assert_int_eq(moving_cause_of(&c), MOVED_SESSION);
	c.busy->unit.cls = SQL_READ;
	c.busy->unit.flags = SQLV_REPLICA | SQLV_TXN_TIME;
	ck_assert_int_eq(moving_cause_of(&c), MOVED_TIME);
	c.busy->unit.keeps_portal = true;
	ck_assert_int_eq(moving_cause_of(&c), MOVED_CURSOR);
	c.busy->unit.cls = SQL_WRITE;
	ck_assert_int_eq(moving_cause_of(&c), MOVED_WRITE);
	c.busy->streaming = true;
	ck_assert_int_eq(moving_cause_of(&c), MOVED_STREAM);
}
END_TEST

static bool keeps_portal(const uint8_t *data, uint32_t len)
{
	c.busy->unit = (struct unit){.len = len};
	moving_judge(&c, data);
	return c.busy->unit.keeps_portal;
}

START_TEST(portals_that_outlive_their_unit)
{
	static const uint8_t plain[] = "B\0\0\0\14\0\0\0\0\0\0\0\0E\0\0\0\11\0\0\0\0\0S\0\0\0\4";
	static const uint8_t limited[] = "E\0\0\0\11\0\0\0\0\1S\0\0\0\4";
	static const uint8_t named[] = "B\0\0\0\15p\0\0\0\0\0\0\0\0S\0\0\0\4";
	static const uint8_t again[] = "E\0\0\0\12p\0\0\0\0\0S\0\0\0\4";
	static const uint8_t simple[] = "Q\0\0\0\15SELECT 1";

	ck_assert(!keeps_portal(plain, sizeof plain - 1));
	ck_assert(keeps_portal(limited, sizeof limited - 1));
	ck_assert(keeps_portal(named, sizeof named - 1));
	ck_assert(keeps_portal(again, sizeof again - 1));
	ck_assert(!keeps_portal(simple, sizeof simple));
}
END_TEST

START_TEST(which_loss_matters_to_nobody)
{
	c.busy->moves = MOVES_REPLICA;
	c.txn = TXN_OPEN;
	ck_assert(moving_survives(&c, &s));
	strcpy(s.fatal_sqlstate, "57P01");
	ck_assert(moving_survives(&c, &s));
	strcpy(s.fatal_sqlstate, "25P03");
	ck_assert(!moving_survives(&c, &s));
	strcpy(s.fatal_sqlstate, "25P04");
	ck_assert(!moving_survives(&c, &s));
	s.fatal_sqlstate[0] = '\0';
	c.busy->sent_len = 1;
	ck_assert(!moving_survives(&c, &s));
	c.busy->sent_len = 0;
	c.txn = TXN_FAILED;
	ck_assert(!moving_survives(&c, &s));
	c.txn = TXN_OPEN;
	c.busy->moves = MOVES_DONE;
	ck_assert(!moving_survives(&c, &s));
}
END_TEST

/* A READ ONLY block, open on its replica. */
static void begin_read_only(void)
{
	d.modes.read_only = TRI_YES;
	c.txn = TXN_OPEN;
	c.busy->moves = MOVES_REPLICA;
	c.busy->block_read_only = true;
	ck_assert_int_eq(journal_put(&d.journal, JOURNAL_BEGIN, "BEGIN READ ONLY", 15, ""), OK);
}

START_TEST(a_read_only_block_may_outlive_its_replica_if_it_has_no_snapshot)
{
	static const uint8_t selects[] = "Q\0\0\0\15SELECT 1";
	static const struct {
		enum sql_isolation level;
		const char *by_default; /* of the client; NULL: the server's */
		bool plain;             /* the server's is READ COMMITTED */
		enum client_moves moves;
	} levels[] = {
		{ISOLATION_UNSET, NULL, true, MOVES_REPLICA},
		{ISOLATION_UNSET, NULL, false, MOVES_BOUND},
		{ISOLATION_READ_UNCOMMITTED, NULL, false, MOVES_REPLICA},
		{ISOLATION_READ_COMMITTED, NULL, false, MOVES_REPLICA},
		{ISOLATION_REPEATABLE_READ, NULL, true, MOVES_BOUND},
		{ISOLATION_UNSET, "repeatable read", true, MOVES_BOUND},
	};

	begin_read_only();
	c.server = &s;
	owed_init(&s.owed);
	s.in_recovery = true;
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		c.txn = TXN_DEFERRED;
		c.busy->moves = MOVES_CHOSEN;
		c.busy->block_answered = false;
		c.busy->unit.is_simple = true;
		c.busy->unit.len = sizeof selects;
		d.modes.isolation = levels[i].level;
		s.plain_isolation = levels[i].plain;
		if (levels[i].by_default != NULL)
			set("default_transaction_isolation", levels[i].by_default);
		ck_assert(moving_begins(NULL, &c, selects));
		ck_assert_int_eq(c.busy->moves, levels[i].moves);
		ck_assert(!moving_is_bound(&c));
		c.busy->block_answered = true;
		ck_assert_int_eq(moving_is_bound(&c), levels[i].moves == MOVES_BOUND);
	}
}
END_TEST

START_TEST(of_what_may_have_an_effect_the_primary_is_not_asked)
{
	const struct unit plain = c.busy->unit;

	c.txn = TXN_OPEN;
	c.busy->moves = MOVES_BOUND;
	c.busy->block_answered = true;
	c.busy->block_read_only = true;
	c.busy->unit.flags |= SQLV_TXN_TIME;
	ck_assert(moving_confirms(&c) && moving_retains(&c));
	c.busy->unit = (struct unit){.flags = 0}; /* Describe, say */
	ck_assert(moving_confirms(&c) && moving_retains(&c));
	c.busy->unit = plain;
	c.busy->unit.flags = 0;
	ck_assert(!moving_confirms(&c) && !moving_retains(&c));
	c.busy->unit = plain;
	c.busy->unit.pins = 1;
	ck_assert(!moving_confirms(&c));
	c.busy->unit = plain;
	c.busy->unit.has_effects = true;
	ck_assert(!moving_confirms(&c));
	c.busy->unit = plain;
	c.busy->unit.keeps_portal = true;
	ck_assert(!moving_confirms(&c));
	c.busy->unit = plain;
	c.busy->streaming = true;
	ck_assert(!moving_confirms(&c) && !moving_retains(&c));
	c.busy->streaming = false;
	c.txn = TXN_FAILED;
	ck_assert(!moving_retains(&c));
}
END_TEST

START_TEST(a_read_only_block_takes_its_reads_as_they_are_there)
{
	static const uint8_t shows[] = "Q\0\0\0\15SHOW ALL", selects[] = "Q\0\0\0\15SELECT 1";

	begin_read_only();
	c.server = &s;
	owed_init(&s.owed);
	c.busy->unit.flags |= SQLV_TXN_TIME;
	c.busy->unit.ask.route = CHOOSE_ROUTE_PRIMARY + 1;
	c.busy->unit.is_simple = true;
	c.busy->unit.len = sizeof shows;
	ck_assert(moving_goes_on(NULL, &c, shows));
	ck_assert(!d.snapshot);
	c.busy->unit.len = sizeof selects;
	ck_assert(moving_goes_on(NULL, &c, selects));
	ck_assert_int_eq(c.busy->moves, MOVES_REPLICA);
	ck_assert(d.snapshot);
	ck_assert(moving_is_read(&c));
	c.busy->streaming = true;
	ck_assert(!moving_is_read(&c));
	owed_fini(&s.owed);
}
END_TEST

START_TEST(what_cannot_be_made_again_binds_a_read_only_block)
{
	begin_read_only();
	c.busy->unit.keeps_portal = true;
	c.busy->unit.asks_replica = true; /* else it would be one for the primary */
	c.server = &s;
	owed_init(&s.owed);
	c.busy->sent_len = 1; /* a read is under way: it may have to move yet */
	ck_assert(!moving_goes_on(NULL, &c, NULL));
	ck_assert_int_eq(c.busy->moves, MOVES_REPLICA);
	c.busy->sent_len = 0;
	ck_assert(moving_goes_on(NULL, &c, NULL));
	ck_assert_int_eq(c.busy->moves, MOVES_NOT);
	ck_assert_uint_eq(d.journal.n, 0);
	ck_assert(!moving_survives(&c, &s));
	owed_fini(&s.owed);
}
END_TEST

START_TEST(a_block_that_is_bound_at_once_is_still_to_be_begun)
{
	begin_read_only();
	c.txn = TXN_DEFERRED;
	c.busy->moves = MOVES_CHOSEN;
	c.busy->unit.keeps_portal = true;
	c.busy->unit.asks_replica = true;
	c.server = &s;
	s.in_recovery = true;
	s.plain_isolation = true;
	ck_assert(moving_begins(NULL, &c, NULL));
	ck_assert_int_eq(c.busy->moves, MOVES_NOT);
	ck_assert_uint_eq(d.journal.n, 1);
}
END_TEST

START_TEST(a_read_only_block_is_bound_where_it_has_a_snapshot_by_default)
{
	begin_read_only();
	d.snapshot = true;
	c.txn = TXN_DEFERRED;
	c.server = &s;
	s.in_recovery = true;
	c.busy->moves = MOVES_CHOSEN;
	ck_assert(moving_begins(NULL, &c, NULL));
	ck_assert_int_eq(c.busy->moves, MOVES_BOUND);
	s.plain_isolation = true;
	c.busy->moves = MOVES_CHOSEN;
	ck_assert(moving_begins(NULL, &c, NULL));
	ck_assert_int_eq(c.busy->moves, MOVES_REPLICA);
}
END_TEST

START_TEST(a_read_only_block_is_counted_only_where_it_moves)
{
	begin_read_only();
	moving_unit_ended(&c, 'I');
	ck_assert_uint_eq(db.stats.moving_began, 0);
	ck_assert_uint_eq(db.stats.moving_ended, 0);
	begin_read_only();
	ck_assert(moving_survives(&c, &s));
	moving_left(&c, MOVED_LOST);
	ck_assert_int_eq(c.txn, TXN_DEFERRED);
	ck_assert_int_eq(c.busy->moves, MOVES_DONE);
	ck_assert_uint_eq(db.stats.moving_began, 1);
	ck_assert_uint_eq(db.stats.moved[MOVED_LOST], 1);
	ck_assert_uint_eq(db.stats.moving_ended, 0);
}
END_TEST

START_TEST(a_block_that_has_left_is_deferred_again)
{
	ck_assert_int_eq(journal_put(&d.journal, JOURNAL_BEGIN, "BEGIN", 5, ""), OK);
	c.busy->moves = MOVES_REPLICA;
	moving_unit_ended(&c, 'T');
	c.txn = TXN_FAILED;
	moving_left(&c, MOVED_WRITE);
	ck_assert_int_eq(c.txn, TXN_DEFERRED);
	ck_assert_int_eq(c.busy->moves, MOVES_DONE);
	ck_assert(d.failed);
	ck_assert_uint_eq(d.journal.n, 1);
	ck_assert_uint_eq(db.stats.moved[MOVED_WRITE], 1);
	moving_unit_ended(&c, 'I');
	ck_assert_int_eq(c.busy->moves, MOVES_NOT);
	ck_assert_uint_eq(d.journal.n, 0);
	ck_assert_uint_eq(db.stats.moving_ended, 0);
}
END_TEST

/* A READ ONLY block in shadow, open on the primary. */
static void begin_shadow(void)
{
	d.modes.read_only = TRI_YES;
	c.txn = TXN_OPEN;
	c.busy->moves = MOVES_SHADOW;
	c.busy->shadow_index = 2;
	c.busy->route_reason = CHOOSE_BY_IN_TRANSACTION;
}

START_TEST(in_shadow_a_block_counts_on_its_replica_until_it_would_move)
{
	begin_shadow();
	moving_shadow(NULL, &c, NULL);
	ck_assert_int_eq(c.busy->shadow_index, 2);
	ck_assert_int_eq(c.busy->moves, MOVES_SHADOW);
	ck_assert_int_eq(c.busy->route_reason, CHOOSE_BY_IN_TRANSACTION);
	c.busy->unit.keeps_portal = true;
	moving_shadow(NULL, &c, NULL);
	ck_assert_int_eq(c.busy->shadow_index, -1);
	ck_assert_int_eq(c.busy->moves, MOVES_NOT);
	ck_assert_int_eq(c.busy->route_reason, CHOOSE_BY_MOVED);
}
END_TEST

START_TEST(in_shadow_a_snapshot_or_a_wish_keeps_a_block_on_its_replica)
{
	begin_shadow();
	c.busy->unit.keeps_portal = true;
	acc.plain_isolation = false; /* REPEATABLE READ by default, for all that is known */
	moving_shadow(NULL, &c, NULL);
	ck_assert_int_eq(c.busy->shadow_index, 2);
	ck_assert_int_eq(c.busy->moves, MOVES_SHADOW);
	acc.plain_isolation = true;
	c.busy->unit.asks_replica = true;
	moving_shadow(NULL, &c, NULL);
	ck_assert_int_eq(c.busy->shadow_index, 2);
	ck_assert_int_eq(c.busy->moves, MOVES_NOT);
}
END_TEST

START_TEST(in_shadow_a_statement_that_failed_would_have_moved_its_block)
{
	begin_shadow();
	c.txn = TXN_FAILED;
	moving_shadow(NULL, &c, NULL);
	ck_assert_int_eq(c.busy->shadow_index, -1);
	ck_assert_int_eq(c.busy->route_reason, CHOOSE_BY_IN_TRANSACTION);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("moving");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, every_cause_has_a_word_of_its_own);
	tcase_add_test(tc, a_block_begins_on_a_replica_with_a_plain_read);
	tcase_add_test(tc, the_isolation_must_be_known_to_be_read_committed);
	tcase_add_test(tc, read_only_and_read_write_blocks_are_as_ever);
	tcase_add_test(tc, who_must_see_others_does_not_begin_there);
	tcase_add_test(tc, wishes_of_the_block_hold_on_the_replica);
	tcase_add_test(tc, what_runs_nothing_stays);
	tcase_add_test(tc, why_it_moves);
	tcase_add_test(tc, portals_that_outlive_their_unit);
	tcase_add_test(tc, which_loss_matters_to_nobody);
	tcase_add_test(tc, a_read_only_block_may_outlive_its_replica_if_it_has_no_snapshot);
	tcase_add_test(tc, of_what_may_have_an_effect_the_primary_is_not_asked);
	tcase_add_test(tc, a_read_only_block_takes_its_reads_as_they_are_there);
	tcase_add_test(tc, what_cannot_be_made_again_binds_a_read_only_block);
	tcase_add_test(tc, a_block_that_is_bound_at_once_is_still_to_be_begun);
	tcase_add_test(tc, a_read_only_block_is_bound_where_it_has_a_snapshot_by_default);
	tcase_add_test(tc, a_read_only_block_is_counted_only_where_it_moves);
	tcase_add_test(tc, a_block_that_has_left_is_deferred_again);
	tcase_add_test(tc, in_shadow_a_block_counts_on_its_replica_until_it_would_move);
	tcase_add_test(tc, in_shadow_a_snapshot_or_a_wish_keeps_a_block_on_its_replica);
	tcase_add_test(tc, in_shadow_a_statement_that_failed_would_have_moved_its_block);
	return unit_run("moving", tc);
}
