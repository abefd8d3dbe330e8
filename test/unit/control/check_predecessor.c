/* The process that was taken over, as the new one sees it: control/predecessor. */
#include "control/predecessor.h"

#include <check.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/listening.h"
#include "control_unit.h"
#include "pool/share.h"

#define NODE "10.0.0.9:6000"

static const char conf_text[] = "[databases]\n"
				"one = host=10.0.0.9 port=6000 dbname=uno pool_size=3 "
				"max_db_connections=7\n"
				"[users]\n"
				"app = max_user_connections=8\n"
				"[pgweir]\n"
				"listen_addr = 127.0.0.1\n"
				"max_node_connections = 9\n";

static struct world world;
static struct predecessor *old;
static struct listenings *listenings;
static struct share_pool *pool;
static int end = -1; /* the old process's */
static unsigned n_told[TELL_STOP + 1];
static int n_served;
static struct ask_leaves *arrived; /* the last */

static void drop_arrived(void)
{
	if (arrived != NULL)
		close(arrived->fd);
	free(arrived);
	arrived = NULL;
}

static void on_tell(void *arg, uint32_t worker, struct mail *m)
{
	(void)arg;
	(void)worker;
	n_told[m->kind]++;
	if (m->kind != TELL_ARRIVE) {
		free(m);
		return;
	}
	drop_arrived();
	arrived = (struct ask_leaves *)(void *)m;
}

static void on_serves(void *arg)
{
	++*(int *)arg;
}

static void begin(void)
{
	struct takeover_from from = {
		.hello.format = image_format(), .serves = on_serves, .arg = &n_served};
	int ends[2];

	n_served = 0;
	world_init(&world, conf_text, WORLD_USERS, 2);
	world.on_tell = on_tell;
	ck_assert_int_eq(share_new(2, 64, &world.sh.hash_key, &world.sh.share), OK);
	ck_assert_int_eq(share_pool_get(world.sh.share, "one", "app",
				 (uint16_t)env_conf(&world.env)->dbs[0].nodes[0].node->id, &pool),
		OK);
	atomic_store(&world.sh.opens_nothing, true);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	end = ends[0];
	from.sock = ends[1];
	ck_assert_int_eq(listenings_new(&world.env, &listenings), OK);
	ck_assert_int_eq(predecessor_new(&world.env, &from, listenings, &old), OK);
	memset(n_told, 0, sizeof n_told);
}

static void finish(void)
{
	predecessor_free(old);
	listenings_free(listenings);
	drop_arrived();
	if (end >= 0)
		close(end);
	share_free(world.sh.share);
	world.sh.share = NULL;
	world_fini(&world);
}

static void say(const void *record, size_t len, int fd)
{
	ck_assert_int_eq(takeover_send(end, record, len, fd), OK);
	for (int i = 0; i < 4; i++) /* it comes, is taken, and what it leads to is mailed */
		world_turn(&world, 1000);
}

static void say_place(enum takeover_record what, const char *database, const char *node)
{
	uint8_t buf[256];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, (uint8_t)what);
	if (what == TAKEOVER_ASK)
		wr_u32(&w, 1);
	takeover_put_place(&w, database, "app", node);
	say(buf, w.len, -1);
}

static void say_one(enum takeover_record what)
{
	say_place(what, "one", NODE);
}

static void say_counted(void)
{
	uint8_t counted = TAKEOVER_COUNTED;

	say(&counted, 1, -1);
}

/* The next record for the old process; 0: none. */
static uint8_t heard(struct rd *in)
{
	static uint8_t buf[TAKEOVER_RECORD_MAX];
	size_t len;
	int fd;

	world_turn(&world, 1000);
	if (takeover_receive(end, buf, &len, &fd) != OK)
		return 0;
	ck_assert_int_eq(fd, -1);
	*in = rd_of(buf, len);
	return rd_u8(in);
}

static void hear_ready(void)
{
	struct rd in;
	uint8_t what = 0;

	world_turn_until(&world, (what = heard(&in)) != 0);
	ck_assert_int_eq(what, TAKEOVER_READY);
	ck_assert_int_eq(n_served, 1);
	ck_assert_uint_eq(rd_u8(&in), 1); /* clients may come */
}

static bool is_granted(void)
{
	struct rd in;
	uint8_t what = 0;

	for (int i = 0; i < 50 && what == 0; i++)
		what = heard(&in);
	if (what == 0)
		return false;
	ck_assert_int_eq(what, TAKEOVER_GRANT);
	ck_assert_uint_eq(rd_u32(&in), 1);
	ck_assert_str_eq(rd_cstr(&in), "one");
	ck_assert_str_eq(rd_cstr(&in), "app");
	ck_assert_str_eq(rd_cstr(&in), NODE);
	ck_assert(!in.bad && in.left == 0);
	return true;
}

START_TEST(nothing_is_opened_before_all_is_told)
{
	hear_ready();
	say_one(TAKEOVER_PLACE);
	say_one(TAKEOVER_PLACE);
	ck_assert_uint_eq(budget_n(&pool->open), 2);
	ck_assert_uint_eq(budget_n(&pool->node->open), 2);
	ck_assert(atomic_load(&world.sh.opens_nothing));
	ck_assert_uint_eq(n_told[TELL_COUNTED], 0);
	say_counted();
	ck_assert(!atomic_load(&world.sh.opens_nothing));
	ck_assert_uint_eq(n_told[TELL_COUNTED], 2); /* both workers accept now */
	say_counted();
	ck_assert_uint_eq(n_told[TELL_COUNTED], 2);
}
END_TEST

START_TEST(what_is_there_counts_beyond_the_limit)
{
	for (int i = 0; i < 5; i++)
		say_one(TAKEOVER_PLACE);
	say_counted();
	ck_assert_uint_eq(budget_n(&pool->open), 5);
	ck_assert(budget_is_over(&pool->open));
	for (int i = 0; i < 5; i++)
		say_one(TAKEOVER_GIVE_BACK);
	ck_assert_uint_eq(budget_n(&pool->open), 0);
	say_one(TAKEOVER_GIVE_BACK); /* one that it has not */
	ck_assert_uint_eq(budget_n(&pool->open), 0);
}
END_TEST

START_TEST(limits_are_known_without_a_client_here)
{
	say_one(TAKEOVER_PLACE);
	ck_assert_uint_eq(budget_limit(&pool->open), 3);
	ck_assert_uint_eq(budget_limit(&pool->db->open), 7);
	ck_assert_uint_eq(budget_limit(&pool->user->open), 8);
	ck_assert_uint_eq(budget_limit(&pool->node->open), 9);
}
END_TEST

START_TEST(full_pool_gives_no_place)
{
	hear_ready();
	for (int i = 0; i < 3; i++)
		say_one(TAKEOVER_PLACE);
	say_counted();
	say_one(TAKEOVER_ASK);
	ck_assert(!is_granted());
	ck_assert_uint_eq(budget_n(&pool->open), 3);
}
END_TEST

START_TEST(who_asks_before_all_is_told_waits)
{
	hear_ready();
	say_one(TAKEOVER_ASK);
	ck_assert(!is_granted());
	ck_assert_uint_eq(budget_n(&pool->open), 0);
	say_one(TAKEOVER_PLACE);
	say_counted();
	ck_assert(is_granted());
	ck_assert_uint_eq(budget_n(&pool->open), 2);
	ck_assert_int_eq(atomic_load(&pool->owed), 0);
}
END_TEST

START_TEST(full_pool_owes_the_next_place_that_is_free)
{
	enum share_full full;
	uint64_t wake = 0;

	hear_ready();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(share_open(pool, 0, 0, &full, &wake), OK);
	say_counted();
	say_one(TAKEOVER_ASK);
	say_one(TAKEOVER_ASK); /* again and again */
	ck_assert(!is_granted());
	ck_assert_int_eq(atomic_load(&pool->owed), 1);
	share_close(pool, &wake);
	ck_assert_int_eq(share_open(pool, 0, 0, &full, &wake), E_AGAIN); /* not for us */
	ck_assert(is_granted());
	ck_assert(!is_granted());
	ck_assert_int_eq(atomic_load(&pool->owed), 0);
	ck_assert_uint_eq(budget_n(&pool->open), 3);
}
END_TEST

START_TEST(who_does_not_tell_is_not_waited_for_forever)
{
	hear_ready();
	say_one(TAKEOVER_PLACE);
	wheel_run(&world.env.wheel, env_now_us(&world.env) + PREDECESSOR_COUNT_US - 1000000, 1000,
		NULL);
	ck_assert(atomic_load(&world.sh.opens_nothing));
	wheel_run(&world.env.wheel, env_now_us(&world.env) + PREDECESSOR_COUNT_US + 1000000, 1000,
		NULL);
	ck_assert(!atomic_load(&world.sh.opens_nothing));
	ck_assert(world_has_logged(&world, "does not tell what servers it has"));
	say_one(TAKEOVER_PLACE); /* better late than never */
	ck_assert_uint_eq(budget_n(&pool->open), 2);
}
END_TEST

START_TEST(its_end_gives_all_back)
{
	say_one(TAKEOVER_PLACE);
	say_one(TAKEOVER_PLACE);
	close(end);
	end = -1;
	world_turn_until(&world, !predecessor_is_there(old));
	for (int i = 0; i < 4; i++)
		world_turn(&world, 1000);
	ck_assert_uint_eq(budget_n(&pool->open), 0);
	ck_assert(!atomic_load(&world.sh.opens_nothing));
	ck_assert_uint_eq(n_told[TELL_COUNTED], 2);
	ck_assert_uint_eq(n_told[TELL_SETTLED], 2);
}
END_TEST

static void say_server(void)
{
	uint8_t buf[256];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, TAKEOVER_SERVER);
	wr_u32(&w, 7); /* a worker that is not here */
	takeover_put_place(&w, "one", "app", NODE);
	wr_bytes(&w, "image", 5);
	say(buf, w.len, end);
}

START_TEST(server_comes_with_its_place)
{
	say_server(); /* of none was told */
	ck_assert_uint_eq(n_told[TELL_ARRIVE], 0);
	say_one(TAKEOVER_PLACE);
	say_server();
	ck_assert_uint_eq(n_told[TELL_ARRIVE], 1);
	ck_assert(arrived->is_server);
	ck_assert_ptr_eq(arrived->share, pool);
	ck_assert_uint_eq(arrived->len, 5);
	ck_assert_mem_eq(arrived->image, "image", 5);
	ck_assert_int_ge(fcntl(arrived->fd, F_GETFD), 0);
	say_one(TAKEOVER_GIVE_BACK); /* it has none any more: this one is ours */
	ck_assert_uint_eq(budget_n(&pool->open), 1);
}
END_TEST

START_TEST(client_without_its_socket_is_none)
{
	say("Capp\0one\0", 9, -1);
	ck_assert_uint_eq(n_told[TELL_ARRIVE], 0);
	say("Capp\0one\0", 9, end);
	ck_assert_uint_eq(n_told[TELL_ARRIVE], 1);
	ck_assert(!arrived->is_server);
}
END_TEST

/* It asks for a place, sends a client and ends, all before this process looks: the answer comes
   back as an error, and the client is taken in all the same. */
START_TEST(last_client_of_one_that_has_ended_is_not_lost)
{
	uint8_t buf[256];
	struct wr w = wr_of(buf, sizeof buf);
	int client = open("/dev/null", O_RDWR | O_CLOEXEC);

	hear_ready();
	say_counted();
	wr_u8(&w, TAKEOVER_ASK);
	wr_u32(&w, 0);
	takeover_put_place(&w, "one", "app", NODE);
	for (int i = 0; i < 100; i++) /* more than a turn takes in */
		ck_assert_int_eq(takeover_send(end, buf, w.len, -1), OK);
	ck_assert_int_eq(takeover_send(end, "Capp\0one\0", 9, client), OK);
	close(client);
	close(end);
	end = -1;
	world_turn_until(&world, !predecessor_is_there(old));
	for (int i = 0; i < 4; i++)
		world_turn(&world, 1000);
	ck_assert_uint_eq(n_told[TELL_ARRIVE], 1);
}
END_TEST

START_TEST(its_successor_says_that_it_ends)
{
	struct rd in;
	uint8_t what;

	hear_ready();
	predecessor_free(old);
	old = NULL;
	do
		what = heard(&in);
	while (what != 0 && what != TAKEOVER_LEAVES);
	ck_assert_int_eq(what, TAKEOVER_LEAVES);
}
END_TEST

START_TEST(places_of_unknown_pools_count_for_nothing)
{
	say_place(TAKEOVER_PLACE, "one", "10.9.9.9:1");
	say_place(TAKEOVER_ASK, "one", "");
	say_place(TAKEOVER_GIVE_BACK, "one", NODE);
	say("P", 1, -1);
	say("Pone", 4, -1);
	say("Pone\0app\0" NODE, 9 + sizeof NODE - 1, -1); /* no NUL at the end */
	say("O\0\0", 3, -1);
	ck_assert_uint_eq(budget_n(&pool->open), 0);
	ck_assert_int_eq(atomic_load(&pool->owed), 0);
	say_one(TAKEOVER_PLACE);
	ck_assert_uint_eq(budget_n(&pool->open), 1);
}
END_TEST

/* Whatever it says, with a descriptor or without: no more places than it told of, none below 0. */
START_TEST(nonsense_does_no_harm)
{
	static const uint8_t kinds[] = "HLPERYKCVGONSDX?";
	uint8_t record[64];
	uint64_t seed = 1;

	for (unsigned n = 0; n < 3000; n++) {
		size_t len = 1 + n % sizeof record;

		for (size_t i = 0; i < len; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			record[i] = (uint8_t)(seed >> 56);
		}
		record[0] = kinds[n % (sizeof kinds - 1)];
		if (n % 3 == 0 && len > 14)
			memcpy(record + (record[0] == 'O' || record[0] == 'V' ? 5 : 1),
				"one\0app\0", 8);
		while (takeover_send(end, record, len, n % 5 == 0 ? end : -1) != OK)
			world_turn(&world, 100);
		if (n % 16 == 0)
			world_turn(&world, 0);
	}
	ck_assert_uint_eq(budget_n(&pool->open), 0);
	ck_assert(predecessor_is_there(old));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("predecessor");

	tcase_add_checked_fixture(tc, begin, finish);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, nothing_is_opened_before_all_is_told);
	tcase_add_test(tc, what_is_there_counts_beyond_the_limit);
	tcase_add_test(tc, limits_are_known_without_a_client_here);
	tcase_add_test(tc, full_pool_gives_no_place);
	tcase_add_test(tc, who_asks_before_all_is_told_waits);
	tcase_add_test(tc, full_pool_owes_the_next_place_that_is_free);
	tcase_add_test(tc, who_does_not_tell_is_not_waited_for_forever);
	tcase_add_test(tc, its_end_gives_all_back);
	tcase_add_test(tc, server_comes_with_its_place);
	tcase_add_test(tc, client_without_its_socket_is_none);
	tcase_add_test(tc, last_client_of_one_that_has_ended_is_not_lost);
	tcase_add_test(tc, its_successor_says_that_it_ends);
	tcase_add_test(tc, places_of_unknown_pools_count_for_nothing);
	tcase_add_test(tc, nonsense_does_no_harm);
	return unit_run("predecessor", tc);
}
