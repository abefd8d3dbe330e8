#include "state/owed.h"

#include <string.h>

#include "proto/frame.h"

#include "../failing_alloc.h"
#include "../unit.h"

static struct owed q;

static void begin(void)
{
	owed_init(&q);
}

static void end(void)
{
	owed_fini(&q);
}

static enum status push(enum owed_kind kind, enum owed_who who)
{
	return owed_push(&q, (struct owed_entry){.kind = (uint8_t)kind, .who = (uint8_t)who});
}

static void owe(enum owed_kind kind, enum owed_who who)
{
	ck_assert_int_eq(push(kind, who), OK);
}

/* The client's messages, a letter each: those of the protocol, C for Close, c for CopyDone. */
static void owe_all(const char *letters)
{
	static const char known[] = "QFPBDECSc";

	for (; *letters != '\0'; letters++)
		owe((enum owed_kind)(strchr(known, *letters) - known + 1), OWED_CLIENT);
}

static enum owed_step reply(char type, bool *ends)
{
	enum owed_step step = owed_on_reply(&q, type, ends);

	if (*ends)
		(void)owed_pop(&q);
	return step;
}

/* Each of these goes on to the client; those in `enders` end an entry. */
static void passes(const char *types, const char *enders)
{
	bool ends;

	for (; *types != '\0'; types++) {
		ck_assert_msg(reply(*types, &ends) == OWED_PASS, "'%c' did not pass", *types);
		ck_assert_msg(ends == (strchr(enders, *types) != NULL), "'%c' ends: %d", *types,
			(int)ends);
	}
}

static void is_bad(char type)
{
	bool ends;

	ck_assert_msg(reply(type, &ends) == OWED_BAD, "'%c' was accepted", type);
	ck_assert(!ends);
}

static unsigned pop_skipped(void)
{
	struct owed_entry e;
	unsigned n = 0;

	while (owed_pop_skipped(&q, &e))
		n++;
	return n;
}

START_TEST(simple_query_ends_with_ready)
{
	owe_all("Q");
	ck_assert_uint_eq(q.n_client, 1);
	passes("TDDCICZ", "Z");
	ck_assert(owed_is_empty(&q));
	ck_assert_uint_eq(q.n_client, 0);
}
END_TEST

START_TEST(error_of_simple_query_skips_nothing)
{
	owe_all("QQ");
	passes("TDEZ", "Z");
	ck_assert(!q.skipping);
	ck_assert_uint_eq(pop_skipped(), 0);
	passes("CZ", "Z");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(function_call_is_answered)
{
	owe_all("F");
	passes("VZ", "Z");
	owe_all("F");
	passes("EZ", "Z");
	owe_all("F");
	is_bad('C');
	ck_assert(!q.skipping);
}
END_TEST

START_TEST(extended_series_is_answered_in_order)
{
	owe_all("PBDDECS");
	ck_assert_uint_eq(q.n_client, 1);
	passes("12tTnDDC3Z", "12TnC3Z");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(execute_ends_in_three_ways)
{
	owe_all("EEES");
	passes("DsIC", "sIC");
	passes("Z", "Z");
}
END_TEST

START_TEST(wrong_reply_is_out_of_step)
{
	static const char kinds[] = "QFPBDECS";
	static const char *const fitting[] = {
		"TDCIGHWdcZ", "VZ", "1", "2", "tTn", "CIsDGHWdc", "3", "Z"};

	for (unsigned k = 0; kinds[k] != '\0'; k++) {
		for (int type = 1; type < 128; type++) {
			const char one[] = {kinds[k], '\0'};
			bool ends, fits = strchr(fitting[k], type) != NULL;

			begin();
			owe_all(one);
			fits = fits || strchr("NSAE", type) != NULL;
			unit_check((owed_on_reply(&q, (char)type, &ends) != OWED_BAD) == fits);
			unit_check(q.n == 1);
			end();
		}
	}
	begin();
}
END_TEST

START_TEST(nothing_owed_allows_only_what_comes_unasked)
{
	for (int type = 1; type < 128; type++) {
		bool ends, unasked = strchr("NSAE", type) != NULL;

		unit_check(
			owed_on_reply(&q, (char)type, &ends) == (unasked ? OWED_PASS : OWED_BAD));
		unit_check(!ends && !q.skipping);
	}
}
END_TEST

START_TEST(error_skips_up_to_the_sync)
{
	struct owed_entry e;

	owe_all("PBESPBES");
	passes("1E", "1");
	ck_assert(q.skipping);
	ck_assert(owed_pop_skipped(&q, &e));
	ck_assert_uint_eq(e.kind, OWED_BIND);
	ck_assert(owed_pop_skipped(&q, &e));
	ck_assert_uint_eq(e.kind, OWED_EXECUTE);
	ck_assert(!owed_pop_skipped(&q, &e));
	ck_assert(!q.skipping);
	passes("Z12CZ", "Z12C");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(error_before_the_sync_was_sent)
{
	owe_all("PBE");
	passes("E", "");
	ck_assert_uint_eq(pop_skipped(), 3);
	ck_assert(q.skipping);
	ck_assert(owed_is_ignored(&q, OWED_PARSE));
	ck_assert(owed_is_ignored(&q, OWED_QUERY)); /* PostgreSQL skips this too */
	ck_assert(!owed_is_ignored(&q, OWED_SYNC));
	owe_all("S");
	ck_assert(!q.skipping);
	ck_assert(!owed_is_ignored(&q, OWED_PARSE));
	passes("Z", "Z");
}
END_TEST

START_TEST(error_of_the_sync_itself_skips_nothing)
{
	owe_all("PBESPS"); /* a deferred constraint fails at the implicit commit */
	passes("12CEZ", "12CZ");
	ck_assert(!q.skipping);
	passes("1Z", "1Z");
}
END_TEST

START_TEST(hidden_replies_are_dropped)
{
	bool ends;

	owe(OWED_QUERY, OWED_HIDDEN);
	owe(OWED_PARSE, OWED_HIDDEN);
	owe_all("BES");
	ck_assert_uint_eq(q.n_client, 1);
	for (const char *p = "NSCZ1"; *p != '\0'; p++)
		ck_assert_int_eq(reply(*p, &ends), OWED_DROP);
	ck_assert(ends);
	passes("2SCZ", "2CZ");
}
END_TEST

START_TEST(notification_is_the_clients_even_in_a_hidden_query)
{
	bool ends;

	owe(OWED_QUERY, OWED_HIDDEN);
	ck_assert_int_eq(reply('A', &ends), OWED_PASS);
	ck_assert(!ends);
}
END_TEST

START_TEST(error_of_a_hidden_parse_is_dropped_and_skips)
{
	bool ends;

	owe(OWED_PARSE, OWED_HIDDEN);
	owe_all("BES");
	ck_assert_int_eq(reply('E', &ends), OWED_DROP);
	ck_assert_uint_eq(pop_skipped(), 3);
	passes("Z", "Z");
}
END_TEST

START_TEST(synthetic_entry_is_never_the_servers)
{
	bool ends;

	owe(OWED_PARSE, OWED_SYNTH);
	owe_all("BS");
	is_bad('1');
	ck_assert_int_eq(owed_on_reply(&q, 'N', &ends), OWED_PASS);
	ck_assert_uint_eq(owed_pop(&q).who, OWED_SYNTH);
	passes("2Z", "2Z");
}
END_TEST

START_TEST(synthetic_entries_behind_an_error_are_skipped)
{
	owe_all("P");
	owe(OWED_PARSE, OWED_SYNTH);
	owe(OWED_CLOSE, OWED_SYNTH);
	owe_all("S");
	passes("E", "");
	ck_assert_uint_eq(pop_skipped(), 3);
	passes("Z", "Z");
}
END_TEST

START_TEST(only_the_clients_ready_is_counted)
{
	owe(OWED_QUERY, OWED_HIDDEN);
	owe(OWED_SYNC, OWED_HIDDEN);
	ck_assert_uint_eq(q.n_client, 0);
	owe_all("PBDECSQF");
	ck_assert_uint_eq(q.n_client, 3);
	while (!owed_is_empty(&q))
		(void)owed_pop(&q);
	ck_assert_uint_eq(q.n_client, 0);
}
END_TEST

START_TEST(copy_in_by_simple_query)
{
	owe_all("Q");
	passes("G", "");
	ck_assert(q.in_copy);
	ck_assert(owed_is_ignored(&q, OWED_SYNC));
	ck_assert(!owed_is_ignored(&q, OWED_COPY_END));
	owe_all("c");
	ck_assert(!q.in_copy);
	passes("CZ", "Z");
	ck_assert(owed_is_empty(&q)); /* the fence itself is no entry that is answered */
	is_bad('Z');
}
END_TEST

START_TEST(copy_out_leaves_syncs_alone)
{
	owe_all("BES");
	passes("2HdddcCZ", "2CZ");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(sync_sent_before_copy_began_is_ignored)
{
	owe_all("BES"); /* Bind, Execute and Sync in one write, as libpq does */
	ck_assert_uint_eq(q.n_client, 1);
	passes("2G", "2");
	ck_assert_uint_eq(q.n, 1);
	ck_assert_uint_eq(q.n_client, 0);
	owe_all("cS");
	passes("CZ", "CZ");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(sync_behind_the_fence_is_answered)
{
	owe_all("BEScS"); /* all of it was sent before the server said that it copies */
	passes("2G", "2");
	ck_assert(!q.in_copy);
	ck_assert_uint_eq(q.n_client, 1);
	passes("CZ", "CZ");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(second_copy_has_a_fence_of_its_own)
{
	owe_all("EcEScS");
	passes("GCG", "C");
	ck_assert_uint_eq(q.n_client, 1);
	passes("CZ", "CZ");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(second_copy_of_a_query_waits_for_its_own_data)
{
	owe_all("Q");
	passes("G", "");
	owe_all("c");
	passes("CG", "");
	ck_assert(q.in_copy);
	owe_all("c");
	passes("CCZ", "Z");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(nothing_is_owed_after_a_copy_that_failed)
{
	owe_all("Q");
	passes("G", "");
	owe_all("c");
	passes("EZ", "Z");
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(error_in_copy_ends_it)
{
	owe_all("BE");
	passes("2GE", "2");
	ck_assert(!q.in_copy && q.skipping);
	ck_assert_uint_eq(pop_skipped(), 1);
	ck_assert(!owed_is_ignored(&q, OWED_SYNC));
	owe_all("S");
	passes("Z", "Z");
}
END_TEST

START_TEST(both_ways_copy_is_a_copy_in)
{
	owe_all("Q");
	passes("W", "");
	ck_assert(q.in_copy);
}
END_TEST

START_TEST(fence_with_nothing_owed_is_ignored)
{
	ck_assert(owed_is_ignored(&q, OWED_COPY_END));
	owe_all("Q");
	ck_assert(!owed_is_ignored(&q, OWED_COPY_END));
}
END_TEST

START_TEST(entries_come_back_as_they_were_pushed)
{
	int mark;
	struct owed_entry e = {.kind = OWED_PARSE, .who = OWED_HIDDEN, .tag = 7, .no = 1ull << 40};

	e.ref = &mark;
	ck_assert_int_eq(owed_push(&q, e), OK);
	e = owed_pop(&q);
	ck_assert_uint_eq(e.tag, 7);
	ck_assert_uint_eq(e.no, 1ull << 40);
	ck_assert_ptr_eq(e.ref, &mark);
}
END_TEST

START_TEST(order_survives_growth_and_wrapping)
{
	uint64_t in = 0, out = 0;

	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < round + 5; i++)
			ck_assert_int_eq(
				owed_push(&q, (struct owed_entry){.kind = OWED_BIND, .no = in++}),
				OK);
		for (unsigned i = 0; i < round; i++)
			unit_check(owed_pop(&q).no == out++);
	}
	for (uint32_t i = 0; i < q.n; i++)
		unit_check(owed_at(&q, i)->no == out + i);
	while (!owed_is_empty(&q))
		unit_check(owed_pop(&q).no == out++);
	ck_assert_uint_eq(in, out);
}
END_TEST

START_TEST(a_full_queue_says_so)
{
	for (unsigned i = 0; i < OWED_MAX; i++)
		unit_check(push(OWED_SYNC, OWED_CLIENT) == OK);
	ck_assert_int_eq(push(OWED_SYNC, OWED_CLIENT), E_LIMIT);
	ck_assert_uint_eq(q.n, OWED_MAX);
	ck_assert_uint_eq(q.n_client, OWED_MAX);
	(void)owed_pop(&q);
	owe(OWED_SYNC, OWED_CLIENT);
}
END_TEST

START_TEST(no_memory_changes_nothing)
{
	enum status st;

	failing_alloc_after(0);
	st = push(OWED_QUERY, OWED_CLIENT);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	ck_assert(owed_is_empty(&q) && q.n_client == 0);
	while (q.n < 16)
		owe(OWED_QUERY, OWED_CLIENT);
	failing_alloc_after(0);
	st = push(OWED_QUERY, OWED_CLIENT);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	ck_assert_uint_eq(q.n, 16);
	ck_assert_uint_eq(q.n_client, 16);
	owe(OWED_QUERY, OWED_CLIENT);
}
END_TEST

/*
 * A server as PostgreSQL is one: it reads messages that were sent ahead, in order, and answers.
 * What the queue passes or drops is compared with what the server knows of each of them.
 */
struct sent {
	uint8_t kind, who;
};

struct model {
	uint64_t random;
	struct sent sent[512]; /* all that went to the server, SYNTH entries stand in their place */
	unsigned n_sent, n_read;
	bool skipping, copying; /* the server's */
	unsigned ready;         /* ReadyForQuery that the client got */
};

static unsigned dice(struct model *m, unsigned n)
{
	return (unsigned)(unit_random(&m->random) >> 33) % n;
}

/* What the relay does when an entry of ours stands at the head. */
static void answer_synthetic(void)
{
	while (owed_head(&q) != NULL && owed_head(&q)->who == OWED_SYNTH)
		(void)owed_pop(&q);
}

static void says(struct model *m, char type, uint8_t who, bool last)
{
	enum owed_step step, expected = who == OWED_HIDDEN ? OWED_DROP : OWED_PASS;
	bool ends;

	answer_synthetic();
	step = owed_on_reply(&q, type, &ends);
	unit_check(step == expected);
	unit_check(ends == (last && type != 'E'));
	if (ends)
		unit_check(owed_pop(&q).who == who);
	if (type == 'Z' && who == OWED_CLIENT)
		m->ready++;
	if (type == 'E')
		(void)pop_skipped();
}

static void server_answers_query(struct model *m, struct sent s)
{
	switch (dice(m, 4)) {
	case 0:
		says(m, 'E', s.who, false);
		break;
	case 1:
		says(m, 'I', s.who, false);
		break;
	default:
		says(m, 'T', s.who, false);
		says(m, 'D', s.who, false);
		says(m, 'C', s.who, false);
	}
	says(m, 'Z', s.who, true);
}

static void server_answers_part(struct model *m, struct sent s)
{
	static const char last[] = {[OWED_PARSE] = '1',
		[OWED_BIND] = '2',
		[OWED_DESCRIBE] = 'T',
		[OWED_EXECUTE] = 'C',
		[OWED_CLOSE] = '3'};

	if (dice(m, 6) == 0) {
		m->skipping = true;
		says(m, 'E', s.who, true);
		return;
	}
	if (s.kind == OWED_EXECUTE && s.who == OWED_CLIENT && dice(m, 3) == 0) {
		m->copying = true; /* it is complete when the CopyDone has been read */
		says(m, 'G', s.who, false);
		return;
	}
	if (s.kind == OWED_DESCRIBE)
		says(m, 't', s.who, false);
	says(m, last[s.kind], s.who, true);
}

static void server_reads(struct model *m)
{
	struct sent s = m->sent[m->n_read++];

	if (s.who == OWED_SYNTH)
		return;
	if (m->copying) {
		if (s.kind == OWED_COPY_END) {
			m->copying = false;
			says(m, 'C', OWED_CLIENT, true);
		} else if (s.kind != OWED_SYNC) { /* PostgreSQL: unexpected message type in COPY */
			m->copying = false;
			m->skipping = true;
			says(m, 'E', OWED_CLIENT, true);
		}
	} else if (s.kind == OWED_SYNC) {
		m->skipping = false;
		says(m, 'Z', s.who, true);
	} else if (m->skipping || s.kind == OWED_COPY_END) {
		return;
	} else if (s.kind == OWED_QUERY) {
		server_answers_query(m, s);
	} else {
		server_answers_part(m, s);
	}
}

/* Send one message; one that is ignored goes to the server and is not noted. */
static void send(struct model *m, enum owed_kind kind, enum owed_who who)
{
	if (m->n_sent == sizeof m->sent / sizeof *m->sent)
		return;
	if (!owed_is_ignored(&q, kind))
		owe(kind, who);
	else if (who == OWED_SYNTH)
		return;
	m->sent[m->n_sent++] = (struct sent){(uint8_t)kind, (uint8_t)who};
}

/* A series of a client; it ends COPY in the order in which it would with libpq's pipelines. */
static void send_series(struct model *m)
{
	static const enum owed_kind kinds[] = {
		OWED_PARSE, OWED_BIND, OWED_DESCRIBE, OWED_CLOSE, OWED_PARSE};
	unsigned n = dice(m, 5);

	for (unsigned i = 0; i < n; i++) {
		enum owed_kind kind = kinds[dice(m, 5)];
		enum owed_who who = kind == OWED_PARSE ? (enum owed_who)dice(m, 3) : OWED_CLIENT;

		send(m, kind, who);
	}
	if (dice(m, 2) == 0) {
		send(m, OWED_EXECUTE, OWED_CLIENT);
		if (dice(m, 2) == 0)
			send(m, OWED_SYNC, OWED_CLIENT);
		send(m, OWED_COPY_END, OWED_CLIENT);
	}
	send(m, OWED_SYNC, OWED_CLIENT);
}

static void send_some(struct model *m)
{
	if (dice(m, 4) == 0)
		send(m, OWED_QUERY, (enum owed_who)dice(m, 2));
	else
		send_series(m);
}

static void run_model(uint64_t seed)
{
	static struct model m;

	m = (struct model){.random = seed};
	begin();
	while (m.n_sent < sizeof m.sent / sizeof *m.sent) {
		send_some(&m);
		for (unsigned n = dice(&m, 12); n != 0 && m.n_read < m.n_sent; n--)
			server_reads(&m);
	}
	while (m.n_read < m.n_sent)
		server_reads(&m);
	answer_synthetic();
	if (!m.copying && !m.skipping) {
		while (owed_head(&q) != NULL && owed_head(&q)->kind == OWED_COPY_END)
			(void)owed_pop(&q);
		unit_check(owed_is_empty(&q));
	}
	unit_check(q.n_client == 0 || m.copying || m.skipping);
	unit_check(q.in_copy == m.copying || q.n != 0);
	end();
}

START_TEST(agrees_with_a_server_whatever_is_sent)
{
	for (uint64_t seed = 1; seed <= 2000; seed++)
		run_model(seed * 0x9e3779b97f4a7c15u);
	begin();
}
END_TEST

/* --- runs --- */

static size_t put_message(uint8_t *at, char type, size_t body)
{
	at[0] = (uint8_t)type;
	memset(at + 1, 0, 4 + body);
	at[4] = (uint8_t)(4 + body);
	return 5 + body;
}

static void same_queue(const struct owed *a, const struct owed *b)
{
	unit_check(a->n == b->n && a->n_client == b->n_client && a->skipping == b->skipping &&
		   a->in_copy == b->in_copy);
	for (uint32_t i = 0; i < a->n; i++)
		unit_check(memcmp(owed_at(a, i), owed_at(b, i), sizeof *owed_at(a, i)) == 0);
}

/* What a run takes is what message by message goes to the client and needs no look. */
static void run_takes_what_passes(uint64_t seed)
{
	static const char types[] = "123tnTDCIsGdcZVENSA";
	uint8_t data[512];
	size_t len = 0, taken, at = 0;
	struct owed one;

	begin();
	owed_init(&one);
	for (unsigned i = 0; i < 6; i++) {
		struct owed_entry e = {.kind = (uint8_t)(OWED_QUERY + unit_random(&seed) % 8),
			.who = (uint8_t)(unit_random(&seed) % 8 == 0 ? OWED_HIDDEN : OWED_CLIENT),
			.tag = unit_random(&seed) % 8 == 0};

		unit_check(owed_push(&q, e) == OK && owed_push(&one, e) == OK);
	}
	for (unsigned i = 0; i < 24; i++)
		len += put_message(data + len, types[unit_random(&seed) % (sizeof types - 1)],
			unit_random(&seed) % 12);
	len -= unit_random(&seed) % 4;
	taken = owed_pass_run(&q, data, len, FRAME_LEN_MAX);
	while (at < taken) {
		bool ends;

		unit_check(owed_head(&one)->tag == 0);
		unit_check(owed_on_reply(&one, (char)data[at], &ends) == OWED_PASS);
		unit_check(strchr("ENSAZGHWdcV", data[at]) == NULL);
		if (ends)
			(void)owed_pop(&one);
		at += 1u + data[at + 4];
	}
	unit_check(at == taken);
	same_queue(&q, &one);
	owed_fini(&one);
	end();
}

START_TEST(a_run_is_what_passes_unseen)
{
	for (uint64_t seed = 1; seed <= 20000; seed++)
		run_takes_what_passes(seed * 0x9e3779b97f4a7c15u);
	begin();
}
END_TEST

START_TEST(a_run_ends_where_something_is_to_be_seen)
{
	uint8_t data[64];
	size_t n = put_message(data, 'T', 3), rows, all;

	n += put_message(data + n, 'D', 7);
	rows = n;
	n += put_message(data + n, 'C', 2);
	all = n;
	n += put_message(data + n, 'Z', 1);
	ck_assert_uint_eq(owed_pass_run(&q, data, n, FRAME_LEN_MAX), 0); /* nobody is owed this */
	owe_all("Q");
	ck_assert_uint_eq(owed_pass_run(&q, data, n, FRAME_LEN_MAX), all);
	ck_assert_uint_eq(owed_pass_run(&q, data, all - 1, FRAME_LEN_MAX), rows);
	ck_assert_uint_eq(owed_pass_run(&q, data, n, 10), 8);
	ck_assert_uint_eq(q.n, 1);
	(void)owed_pop(&q);
	owe(OWED_QUERY, OWED_HIDDEN);
	ck_assert_uint_eq(owed_pass_run(&q, data, n, FRAME_LEN_MAX), 0);
	(void)owed_pop(&q);
	owe_all("PBE");
	n = put_message(data, '1', 0);
	n += put_message(data + n, '2', 0);
	n += put_message(data + n, 'D', 20);
	n += put_message(data + n, 'C', 20);
	ck_assert_uint_eq(owed_pass_run(&q, data, n, FRAME_LEN_MAX), n);
	ck_assert(owed_is_empty(&q));
}
END_TEST

START_TEST(a_unit_that_is_hidden_tells_its_client_nothing)
{
	bool ends;

	owe(OWED_QUERY, OWED_HIDDEN);
	owed_head(&q)->tag = 3;
	owe_all("PBES");
	owe(OWED_PARSE, OWED_SYNTH);
	owed_at(&q, 3)->query = 7;
	owed_hide_client(&q, 5);
	ck_assert_uint_eq(q.n_client, 0);
	ck_assert_uint_eq(owed_head(&q)->tag, 3);
	ck_assert_uint_eq(owed_at(&q, 3)->query, 0);
	ck_assert_uint_eq(owed_at(&q, 3)->tag, 0);
	ck_assert_uint_eq(owed_at(&q, 4)->tag, 5);
	ck_assert_uint_eq(owed_at(&q, 5)->who, OWED_SYNTH);
	for (const char *type = "Z12DDCZ"; *type != '\0'; type++)
		ck_assert_int_eq(reply(*type, &ends), OWED_DROP);
	ck_assert_uint_eq(q.n, 1);
	ck_assert_uint_eq(q.n_client, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("owed");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, simple_query_ends_with_ready);
	tcase_add_test(tc, error_of_simple_query_skips_nothing);
	tcase_add_test(tc, function_call_is_answered);
	tcase_add_test(tc, extended_series_is_answered_in_order);
	tcase_add_test(tc, execute_ends_in_three_ways);
	tcase_add_test(tc, wrong_reply_is_out_of_step);
	tcase_add_test(tc, nothing_owed_allows_only_what_comes_unasked);
	tcase_add_test(tc, error_skips_up_to_the_sync);
	tcase_add_test(tc, error_before_the_sync_was_sent);
	tcase_add_test(tc, error_of_the_sync_itself_skips_nothing);
	tcase_add_test(tc, hidden_replies_are_dropped);
	tcase_add_test(tc, notification_is_the_clients_even_in_a_hidden_query);
	tcase_add_test(tc, error_of_a_hidden_parse_is_dropped_and_skips);
	tcase_add_test(tc, synthetic_entry_is_never_the_servers);
	tcase_add_test(tc, synthetic_entries_behind_an_error_are_skipped);
	tcase_add_test(tc, only_the_clients_ready_is_counted);
	tcase_add_test(tc, copy_in_by_simple_query);
	tcase_add_test(tc, copy_out_leaves_syncs_alone);
	tcase_add_test(tc, sync_sent_before_copy_began_is_ignored);
	tcase_add_test(tc, sync_behind_the_fence_is_answered);
	tcase_add_test(tc, second_copy_has_a_fence_of_its_own);
	tcase_add_test(tc, second_copy_of_a_query_waits_for_its_own_data);
	tcase_add_test(tc, nothing_is_owed_after_a_copy_that_failed);
	tcase_add_test(tc, error_in_copy_ends_it);
	tcase_add_test(tc, both_ways_copy_is_a_copy_in);
	tcase_add_test(tc, fence_with_nothing_owed_is_ignored);
	tcase_add_test(tc, entries_come_back_as_they_were_pushed);
	tcase_add_test(tc, order_survives_growth_and_wrapping);
	tcase_add_test(tc, a_full_queue_says_so);
	tcase_add_test(tc, no_memory_changes_nothing);
	tcase_add_test(tc, agrees_with_a_server_whatever_is_sent);
	tcase_add_test(tc, a_unit_that_is_hidden_tells_its_client_nothing);
	tcase_add_test(tc, a_run_is_what_passes_unseen);
	tcase_add_test(tc, a_run_ends_where_something_is_to_be_seen);
	return unit_run("owed", tc);
}
