/* A take-over as the old process sees it: control/takeover. The new one is this program, too. */
#include "control/takeover.h"

#include <check.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/listening.h"
#include "control_unit.h"
#include "pool/share.h"

static struct world world;
static struct handing *handing;
static struct listenings *listenings;
static char folder[] = "/tmp/pgweir-check-XXXXXX", path[64];
static int given = -1;    /* a socket that is handed on */
static int asking = -1;   /* takeover_socket */
static int meeting = -1;  /* where the new process comes to */
static int asker = -1;    /* who has asked */
static int next_end = -1; /* the new process's */
static long passed_on_to;
static unsigned n_leave, n_granted, n_serve, n_taken_back;
static bool is_too_late;

/* --- the new process: it gives its socket to the test, and waits for its end --- */

static int connect_to(const char *where)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", where);
	return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? fd : -1;
}

static int be_the_new_process(const char *where)
{
	int sock = connect_to(where);
	char c;

	if (sock < 0 || takeover_send(sock, "x", 1, 3) != OK)
		return 1;
	close(3);
	return (int)read(sock, &c, 1); /* until the test closes it, or kills us */
}

/* --- the world --- */

static int listen_at(const char *where)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", where);
	unlink(where);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

static const char *in_folder(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void on_mail(void *arg, struct mail *m)
{
	(void)arg;
	if (m->kind == ASK_PLACE) {
		takeover_take_place(handing, (struct ask_place *)(void *)m);
	} else {
		ck_assert_int_eq(m->kind, ASK_COUNTED);
		takeover_take_counted(handing);
		free(m);
	}
}

static void on_tell(void *arg, uint32_t worker, struct mail *m)
{
	(void)arg;
	n_leave += m->kind == TELL_LEAVE;
	n_granted += m->kind == TELL_PLACE && worker == 1;
	n_serve += m->kind == TELL_COUNTED;
	free(m);
}

static bool give_socket(void *arg, uint32_t i, struct takeover_listening *out)
{
	(void)arg;
	*out = (struct takeover_listening){.fd = given, .what = TAKEOVER_FOR_CLIENTS};
	return i == 0;
}

static void on_passed_on(void *arg, long pid)
{
	(void)arg;
	passed_on_to = pid;
}

static bool on_taken_back(void *arg)
{
	(void)arg;
	n_taken_back++;
	return !is_too_late;
}

static void begin(void)
{
	struct takeover_conf tc = {.env = &world.env,
		.socket = give_socket,
		.passed_on = on_passed_on,
		.taken_back = on_taken_back};

	strcpy(folder + sizeof folder - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	world_init(&world, WORLD_CONF, WORLD_USERS, 2);
	world.on_mail = on_mail;
	world.on_tell = on_tell;
	ck_assert_int_eq(share_new(2, 64, &world.sh.hash_key, &world.sh.share), OK);
	meeting = listen_at(in_folder("meeting"));
	asking = listen_at(in_folder("asking"));
	given = listen_at(in_folder("given"));
	ck_assert_int_eq(listenings_new(&world.env, &listenings), OK);
	tc.listenings = listenings;
	tc.listen_fd = asking;
	ck_assert_int_eq(takeover_new(&tc, &handing), OK);
	passed_on_to = 0;
	n_leave = n_granted = n_serve = n_taken_back = 0;
	is_too_late = false;
}

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void finish(void)
{
	static const char *const names[] = {"meeting", "asking", "given"};

	close_if_open(&next_end);
	close_if_open(&asker);
	takeover_end(handing);
	listenings_free(listenings);
	close_if_open(&meeting);
	close_if_open(&given);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unlink(in_folder(names[i]));
	rmdir(folder);
	share_free(world.sh.share);
	world.sh.share = NULL;
	world_fini(&world);
}

/* A record, waited for; its descriptor is closed. Its kind is returned; 0: the end. */
static uint8_t hear(int sock, struct rd *in)
{
	static uint8_t buf[TAKEOVER_RECORD_MAX];
	enum status st = E_AGAIN;
	size_t len = 0;
	int fd = -1;

	world_turn_until(&world, (st = takeover_receive(sock, buf, &len, &fd)) != E_AGAIN);
	if (fd >= 0)
		close(fd);
	*in = rd_of(buf, st == OK ? len : 0);
	return rd_u8(in);
}

static bool is_silent(int sock)
{
	uint8_t buf[1];

	for (int i = 0; i < 20; i++)
		world_turn(&world, 1000);
	return recv(sock, buf, sizeof buf, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static void request(const void *record, size_t len)
{
	close_if_open(&asker);
	asker = connect_to(in_folder("asking"));
	ck_assert_int_ge(asker, 0);
	ck_assert_int_eq(fcntl(asker, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(takeover_send(asker, record, len, -1), OK);
}

static void request_start(const char *program)
{
	uint8_t record[512];
	struct wr w = wr_of(record, sizeof record);

	wr_u8(&w, TAKEOVER_START);
	wr_cstr(&w, program);
	wr_cstr(&w, in_folder("meeting"));
	request(record, w.len);
}

static void refused(const char *why)
{
	struct rd in;

	ck_assert_int_eq(hear(asker, &in), TAKEOVER_REFUSED);
	ck_assert_ptr_nonnull(strstr(rd_cstr(&in), why));
	close_if_open(&asker);
}

/* The new process is started; returns its end of the talk between them, held here. */
static int started(int *alive)
{
	uint8_t buf[TAKEOVER_RECORD_MAX];
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	size_t len;
	int fd = -1;

	ck_assert_int_gt(n, 0);
	self[n] = '\0';
	request_start(self);
	world_turn_until(&world, (*alive = accept4(meeting, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	world_turn_until(&world, takeover_receive(*alive, buf, &len, &fd) == OK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void start_next(int *alive)
{
	struct rd in;
	uint8_t what;

	next_end = started(alive);
	do
		what = hear(next_end, &in);
	while (what != TAKEOVER_END);
}

static void say(const void *record, size_t len)
{
	ck_assert_int_eq(takeover_send(next_end, record, len, -1), OK);
}

static void post_place(enum place_what what)
{
	struct ask_place *ask = calloc(1, sizeof *ask);

	ck_assert_ptr_nonnull(ask);
	ask->mail.kind = ASK_PLACE;
	ask->what = what;
	ask->worker = 1;
	strcpy(ask->database, "one");
	strcpy(ask->user, "app");
	strcpy(ask->node, "n");
	mailbox_post(&world.sh.control, &ask->mail);
}

static void post_counted(void)
{
	struct mail *m = calloc(1, sizeof *m);

	ck_assert_ptr_nonnull(m);
	m->kind = ASK_COUNTED;
	mailbox_post(&world.sh.control, m);
}

static void hear_place(enum takeover_record kind)
{
	struct rd in;

	ck_assert_int_eq(hear(next_end, &in), kind);
	if (kind == TAKEOVER_ASK)
		ck_assert_uint_eq(rd_u32(&in), 1);
	ck_assert_str_eq(rd_cstr(&in), "one");
	ck_assert_str_eq(rd_cstr(&in), "app");
	ck_assert_str_eq(rd_cstr(&in), "n");
	ck_assert(!in.bad && in.left == 0);
}

START_TEST(new_process_gets_the_hello_and_the_sockets)
{
	struct takeover_hello hello;
	struct rd in;
	int alive;

	next_end = started(&alive);
	ck_assert_int_eq(hear(next_end, &in), TAKEOVER_HELLO);
	ck_assert_int_eq(takeover_read_hello(&in, &hello), OK);
	ck_assert_uint_eq(hello.format, image_format());
	ck_assert_int_eq(hear(next_end, &in), TAKEOVER_SOCKET);
	ck_assert_uint_eq(rd_u8(&in), TAKEOVER_FOR_CLIENTS);
	ck_assert_int_eq(hear(next_end, &in), TAKEOVER_SOCKET);
	ck_assert_uint_eq(rd_u8(&in), TAKEOVER_FOR_TAKEOVERS);
	ck_assert_int_eq(hear(next_end, &in), TAKEOVER_END);
	ck_assert_uint_eq(n_leave, 0);
	ck_assert_int_eq(passed_on_to, 0);
	close(alive);
}
END_TEST

START_TEST(count_is_complete_when_all_workers_have_told)
{
	struct rd in;
	int alive;

	start_next(&alive);
	say("R\1", 2);
	ck_assert_int_eq(hear(asker, &in), TAKEOVER_DONE);
	world_turn_until(&world, n_leave == 2);
	ck_assert_int_gt(passed_on_to, 0);
	post_place(PLACE_HAD);
	post_counted();
	hear_place(TAKEOVER_PLACE);
	post_place(PLACE_GONE);
	hear_place(TAKEOVER_GIVE_BACK);
	ck_assert(is_silent(next_end)); /* the other worker has not told */
	post_place(PLACE_HAD);
	post_place(PLACE_WANTED);
	post_counted();
	hear_place(TAKEOVER_PLACE);
	hear_place(TAKEOVER_ASK);
	ck_assert_int_eq(hear(next_end, &in), TAKEOVER_COUNTED);
	post_place(PLACE_GONE);
	hear_place(TAKEOVER_GIVE_BACK);
	ck_assert(is_silent(next_end));
	close(alive);
}
END_TEST

START_TEST(server_between_two_workers_is_waited_for)
{
	struct rd in;
	int alive;

	start_next(&alive);
	atomic_store(&world.sh.n_untold, 2); /* two have set out before their workers told */
	say("R\1", 2);
	post_counted();
	post_counted();
	ck_assert(is_silent(next_end));
	post_place(PLACE_CAME);
	hear_place(TAKEOVER_PLACE);
	ck_assert(is_silent(next_end));
	post_place(PLACE_CAME);
	hear_place(TAKEOVER_PLACE);
	ck_assert_int_eq(hear(next_end, &in), TAKEOVER_COUNTED);
	ck_assert_int_eq(atomic_load(&world.sh.n_untold), 0);
	close(alive);
}
END_TEST

START_TEST(grant_is_told_to_the_worker_that_has_asked)
{
	static const char right[] = "Y\0\0\0\1one\0app\0n", no_worker[] = "Y\0\0\0\2one\0app\0n";
	int alive;

	start_next(&alive);
	say("R\1", 2);
	say(no_worker, sizeof no_worker);
	say(right, sizeof right - 1); /* cut off */
	say(right, sizeof right);
	world_turn_until(&world, n_granted != 0);
	ck_assert(is_silent(next_end));
	ck_assert_uint_eq(n_granted, 1);
	close(alive);
}
END_TEST

START_TEST(process_that_ends_before_it_serves_changes_nothing)
{
	int alive;

	for (int i = 0; i < 2; i++) {
		start_next(&alive);
		close_if_open(&next_end);
		close(alive);
		refused("the new process has ended");
		ck_assert_uint_eq(n_leave, 0);
		ck_assert_int_eq(passed_on_to, 0);
		ck_assert(!atomic_load(&world.sh.is_taken_over));
	}
}
END_TEST

START_TEST(wrong_requests_are_refused)
{
	request("S", 1);
	refused("not understood");
	request("Zx\0\0", 4);
	refused("not understood");
	request_start("bin/relative");
	refused("not understood");
	request_start("/nowhere/at/all");
	refused("cannot be started");
}
END_TEST

START_TEST(one_take_over_at_a_time)
{
	int alive, first;

	start_next(&alive);
	say("R\1", 2);
	world_turn_until(&world, n_leave == 2);
	first = asker;
	asker = connect_to(
		in_folder("asking")); /* nobody listens there any more: it is the next's */
	ck_assert(is_silent(asker));
	close(first);
	close(alive);
}
END_TEST

/* It serves; then its end of the talk is closed. */
static void serve_and_fall_silent(int *alive)
{
	n_leave = 0;
	start_next(alive);
	say("R\1", 2);
	world_turn_until(&world, n_leave == 2);
	close_if_open(&next_end);
	world_turn_until(&world, n_leave == 4); /* all places are ours */
}

START_TEST(process_that_dies_after_it_has_served_is_replaced)
{
	int alive;

	for (unsigned i = 1; i <= 3; i++) { /* and another one may take over */
		serve_and_fall_silent(&alive);
		ck_assert(is_silent(meeting)); /* it may live */
		ck_assert_uint_eq(n_taken_back, i - 1);
		close(alive);
		world_turn_until(&world, n_serve == 2 * i);
		ck_assert_uint_eq(n_taken_back, i);
		close_if_open(&asker);
	}
	start_next(&alive);
	say("R\1", 2);
	post_counted(); /* counted anew */
	ck_assert(is_silent(next_end));
	post_counted();
	{
		struct rd in;

		ck_assert_int_eq(hear(next_end, &in), TAKEOVER_COUNTED);
	}
	close(alive);
}
END_TEST

START_TEST(process_that_was_told_to_end_is_not_replaced)
{
	int alive;

	n_leave = 0;
	start_next(&alive);
	say("R\1", 2);
	say("Q", 1);
	world_turn_until(&world, n_leave == 2);
	close_if_open(&next_end);
	close(alive);
	world_turn_until(&world, n_leave == 4);
	ck_assert(is_silent(meeting));
	ck_assert_uint_eq(n_taken_back, 0);
	ck_assert_uint_eq(n_serve, 0);
}
END_TEST

START_TEST(nobody_is_accepted_when_it_is_too_late)
{
	int alive;

	is_too_late = true;
	serve_and_fall_silent(&alive);
	close(alive);
	world_turn_until(&world, n_taken_back == 1);
	ck_assert(is_silent(meeting));
	ck_assert_uint_eq(n_serve, 0);
}
END_TEST

START_TEST(nonsense_of_the_new_process_does_no_harm)
{
	uint8_t record[64];
	uint64_t seed = 7;
	int alive;

	start_next(&alive);
	say("R\1", 2);
	for (unsigned n = 0; n < 3000; n++) {
		static const uint8_t kinds[] = "RYKHLPENCVGOFMBUQ?";
		size_t len = 1 + n % sizeof record;

		for (size_t i = 0; i < len; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			record[i] = (uint8_t)(seed >> 56);
		}
		record[0] = kinds[n % (sizeof kinds - 1)];
		while (takeover_send(next_end, record, len, n % 5 == 0 ? next_end : -1) != OK)
			world_turn(&world, 100);
	}
	ck_assert(is_silent(next_end));
	ck_assert_uint_eq(n_leave, 2); /* it is ready once */
	close(alive);
}
END_TEST

int main(int argc, char **argv)
{
	TCase *tc;

	if (argc == 3 && strcmp(argv[1], "--takeover-fd=3") == 0)
		return be_the_new_process(argv[2]);
	tc = tcase_create("takeover");
	tcase_add_checked_fixture(tc, begin, finish);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, new_process_gets_the_hello_and_the_sockets);
	tcase_add_test(tc, count_is_complete_when_all_workers_have_told);
	tcase_add_test(tc, server_between_two_workers_is_waited_for);
	tcase_add_test(tc, grant_is_told_to_the_worker_that_has_asked);
	tcase_add_test(tc, process_that_ends_before_it_serves_changes_nothing);
	tcase_add_test(tc, wrong_requests_are_refused);
	tcase_add_test(tc, one_take_over_at_a_time);
	tcase_add_test(tc, process_that_dies_after_it_has_served_is_replaced);
	tcase_add_test(tc, process_that_was_told_to_end_is_not_replaced);
	tcase_add_test(tc, nobody_is_accepted_when_it_is_too_late);
	tcase_add_test(tc, nonsense_of_the_new_process_does_no_harm);
	return unit_run("takeover", tc);
}
