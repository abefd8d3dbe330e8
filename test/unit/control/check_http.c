#include "control/http.h"

#include <arpa/inet.h>

#include "control/page.h"
#include "control/ready.h"
#include "views_unit.h"

static struct views v;
static struct http *h;
static uint16_t port;

#define CONF WORLD_CONF "stats_addr = 127.0.0.1\nstats_port = %u\n"

/* A port that is free now. */
static uint16_t free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void setup(void)
{
	char conf[2048];

	port = free_port();
	snprintf(conf, sizeof conf, CONF, port);
	views_init(&v, conf);
	views_fill(&v);
	ck_assert_int_eq(http_new(&v.w.env, &v.tools, -1, &h), OK);
}

static void teardown(void)
{
	http_free(h);
	views_fini(&v);
}

struct visitor {
	int fd;
	char text[1 << 18];
	size_t len;
	bool is_closed;
};

static void visit(struct visitor *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};

	memset(c, 0, sizeof *c);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&a, sizeof a), 0);
}

static void say(struct visitor *c, const char *text)
{
	ck_assert_int_eq(send(c->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void listen_to(struct visitor *c)
{
	ssize_t n = recv(c->fd, c->text + c->len, sizeof c->text - 1 - c->len, MSG_DONTWAIT);

	if (n > 0)
		c->len += (size_t)n;
	c->text[c->len] = '\0';
	c->is_closed = c->is_closed || n == 0 || (n < 0 && errno == ECONNRESET);
}

/* One request on a connection of its own; HTTP/1.0 answers end with the connection. */
static const char *get(const char *request)
{
	static struct visitor c;
	uint64_t give_up = env_now_us(&v.w.env) + WORLD_WAIT_US;

	visit(&c);
	say(&c, request);
	while (!c.is_closed) {
		ck_assert_msg(env_now_us(&v.w.env) < give_up, "only got: %s", c.text);
		world_turn(&v.w, 5000);
		listen_to(&c);
	}
	close(c.fd);
	return c.text;
}

static const char *body_of(const char *answer)
{
	const char *p = strstr(answer, "\r\n\r\n");

	ck_assert_ptr_nonnull(p);
	return p + 4;
}

#define ck_has(text, what) ck_assert_msg(strstr(text, what) != NULL, "no %s in %s", what, text)

START_TEST(healthz_is_ok)
{
	const char *a = get("GET /healthz HTTP/1.0\r\n\r\n");

	ck_has(a, " 200 OK\r\n");
	ck_assert_str_eq(body_of(a), "ok\n");
}
END_TEST

START_TEST(the_page_and_its_history_are_there)
{
	const char *a = get("GET / HTTP/1.0\r\n\r\n");

	ck_assert_ptr_nonnull(strstr(a, " 200 OK\r\n"));
	ck_assert_ptr_nonnull(strstr(a, "Content-Security-Policy: default-src 'none'; "));
	ck_assert_ptr_nonnull(strstr(a, "</html>"));
	ck_assert_str_eq(body_of(get("GET /history.json HTTP/1.0\r\n\r\n")),
		"{\"columns\":[],\"samples\":[]}\n");
}
END_TEST

START_TEST(other_paths_and_methods_are_refused)
{
	ck_has(get("GET /page HTTP/1.0\r\n\r\n"), " 404 ");
	ck_has(get("GET /metricsx HTTP/1.0\r\n\r\n"), " 404 ");
	ck_has(get("GET /../etc/passwd HTTP/1.0\r\n\r\n"), " 404 ");
	ck_has(get("DELETE /metrics HTTP/1.0\r\n\r\n"), " 501 ");
	ck_has(get("POST /metrics HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"), " 4");
	ck_has(get("GET /metrics?x=y HTTP/1.0\r\n\r\n"), " 200 ");
	ck_has(get("nonsense\r\n\r\n"), " 400 ");
}
END_TEST

START_TEST(large_heads_are_refused)
{
	static char request[4 * HTTP_HEAD_MAX] = "GET /healthz HTTP/1.0\r\nX: ";

	memset(request + strlen(request), 'x', 2 * HTTP_HEAD_MAX);
	strcat(request, "\r\n\r\n");
	ck_assert_ptr_null(strstr(get(request), " 200 "));
}
END_TEST

/* Every sample follows the HELP and TYPE of its family. */
static void check_exposition(const char *text)
{
	char family[128] = "", line[1024];
	size_t n;

	for (; *text != '\0'; text += n + 1) {
		n = strcspn(text, "\n");
		ck_assert_uint_lt(n, sizeof line);
		memcpy(line, text, n);
		line[n] = '\0';
		if (sscanf(line, "# TYPE %127s", family) == 1 || line[0] == '#')
			continue;
		ck_assert_msg(strncmp(line, family, strlen(family)) == 0, "%s in %s", line, family);
		ck_assert_ptr_nonnull(strrchr(line, ' '));
		ck_assert_msg(strspn(strrchr(line, ' ') + 1, "0123456789.") ==
				      strlen(strrchr(line, ' ') + 1),
			"%s", line);
	}
}

START_TEST(metrics_say_what_the_tables_say)
{
	const char *a = get("GET /metrics HTTP/1.0\r\n\r\n"), *m;

	ck_has(a, " 200 OK\r\n");
	ck_has(a, "Content-Type: " METRICS_CONTENT_TYPE "\r\n");
	m = body_of(a);
	check_exposition(m);
	ck_has(m, "\npgweir_transactions_total{database=\"app\"} 4\n");
	ck_has(m, "\npgweir_wait_seconds_total{database=\"app\"} 0.000016\n");
	ck_has(m, "\npgweir_clients{database=\"app\",user=\"appuser\",state=\"active\"} 2\n");
	ck_has(m, "\npgweir_clients{database=\"app\",user=\"appuser\",state=\"idle\"} 4\n");
	ck_has(m, "\npgweir_servers{database=\"app\",user=\"appuser\",node=\"10.0.0.1:5432\","
		  "state=\"idle\"} 4\n");
	ck_has(m, "\npgweir_maxwait_seconds{database=\"app\",user=\"appuser\"} 2.500001\n");
	ck_has(m, "\npgweir_wait_seconds_bucket{database=\"app\",user=\"appuser\",le=\"0.000004\"}"
		  " 2\n");
	ck_has(m,
		"\npgweir_wait_seconds_bucket{database=\"app\",user=\"appuser\",le=\"+Inf\"} 2\n");
	ck_has(m, "\npgweir_wait_seconds_count{database=\"app\",user=\"appuser\"} 2\n");
	ck_has(m, "\npgweir_units_total{database=\"app\",verdict=\"read\",node=\"10.0.0.2:5432\","
		  "reason=\"replica_ok\",mode=\"on\"} 42\n");
	ck_has(m, "\npgweir_errors_total{database=\"app\",sqlstate=\"53300\",sqlstate_class=\"53\","
		  "source=\"pgweir\"} "
		  "6\n");
	ck_has(m, "\npgweir_worker_cpu_seconds_total{worker=\"1\"} 1.500000\n");
	ck_has(m, "\npgweir_pins{cause=\"temp\"} 0\n");
	ck_has(m, "\npgweir_node_up{node=\"");
	ck_has(m, "\npgweir_client_connections_limit 10000\n");
	ck_has(m, "\nprocess_start_time_seconds 1767225600.000000\n");
}
END_TEST

START_TEST(labels_are_escaped)
{
	strcpy(v.rows[0][SHOW_ROWS_ERRORS][0].error.database, "a\"b\\c\nd\xff");
	ck_has(get("GET /metrics HTTP/1.0\r\n\r\n"),
		"{database=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",sqlstate=\"53300\"");
}
END_TEST

START_TEST(json_is_one_object_of_tables)
{
	const char *a = get("GET /stats.json HTTP/1.0\r\n\r\n"), *j;

	ck_has(a, "Content-Type: application/json\r\n");
	j = body_of(a);
	ck_assert_int_eq(j[0], '{');
	ck_assert_str_eq(j + strlen(j) - 3, "\n}\n");
	ck_has(j, "\"pools\": [\n\t\t{\"database\": \"app\", \"user\": \"appuser\", "
		  "\"cl_active\": 6, ");
	ck_has(j, "\"nodes\": [\n\t\t{");
	ck_has(j, "{\"database\": \"app\", \"sqlstate\": \"53300\", \"class\": "
		  "\"Insufficient Resources\", \"source\": \"pgweir\", \"errors\": 6, "
		  "\"last_seen\": null}\n\t],");
}
END_TEST

START_TEST(large_answers_come_whole)
{
	const char *m;
	unsigned n = 0;

	for (unsigned i = 0; i < WORLD_ROWS_MAX - 1; i++) {
		struct show_error_row *e = &views_row(&v, 0, SHOW_ROWS_ERRORS)->error;

		snprintf(e->database, sizeof e->database, "%0120u", i);
		strcpy(e->sqlstate, "22012");
	}
	m = body_of(get("GET /stats.json HTTP/1.0\r\n\r\n"));
	for (const char *p = m; (p = strstr(p, "\"sqlstate\": \"22012\"")) != NULL; p++)
		n++;
	ck_assert_uint_eq(n, WORLD_ROWS_MAX - 1);
	ck_assert_str_eq(m + strlen(m) - 3, "\n}\n");
}
END_TEST

START_TEST(head_has_no_body)
{
	const char *a = get("HEAD /metrics HTTP/1.0\r\n\r\n");

	ck_has(a, " 200 OK\r\n");
	ck_assert_str_eq(body_of(a), "");
}
END_TEST

START_TEST(connection_is_kept_for_http_1_1)
{
	static struct visitor c;

	visit(&c);
	for (unsigned i = 0; i < 3; i++) {
		c.len = 0;
		say(&c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
		for (unsigned k = 0; k < 1000 && strstr(c.text, "\r\n0\r\n\r\n") == NULL; k++) {
			world_turn(&v.w, 5000);
			listen_to(&c);
		}
		ck_has(c.text, "Transfer-Encoding: chunked\r\n");
		ck_has(c.text, "\r\n0\r\n\r\n");
		c.text[0] = '\0';
	}
	close(c.fd);
}
END_TEST

START_TEST(visitors_that_leave_leave_nothing)
{
	static struct visitor c;

	v.w.workers[0].is_silent = true;
	for (unsigned i = 0; i < 3 * HTTP_REQUESTS_MAX; i++) {
		struct linger hard = {1, 0};

		visit(&c);
		say(&c, "GET /metrics HTTP/1.0\r\n\r\n");
		world_turn(&v.w, 1000);
		setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		close(c.fd);
		world_turn(&v.w, 1000);
	}
	v.w.workers[0].is_silent = false;
	/* The rows that never came are given up after a while; then all is as before. */
	ck_has(get("GET /healthz HTTP/1.0\r\n\r\n"), " 200 ");
}
END_TEST

START_TEST(requests_at_a_time_are_bounded)
{
	static struct visitor c[HTTP_REQUESTS_MAX];
	const char *a;

	v.w.workers[0].is_silent = true;
	for (unsigned i = 0; i < HTTP_REQUESTS_MAX; i++) {
		visit(&c[i]);
		say(&c[i], "GET /metrics HTTP/1.0\r\n\r\n");
		for (unsigned k = 0; k < 5; k++)
			world_turn(&v.w, 1000);
	}
	a = get("GET /metrics HTTP/1.0\r\n\r\n");
	ck_has(a, " 503 ");
	ck_assert_str_eq(body_of(a), "too many requests\n");
	ck_has(get("GET /healthz HTTP/1.0\r\n\r\n"), " 200 ");
	for (unsigned i = 0; i < HTTP_REQUESTS_MAX; i++)
		close(c[i].fd);
}
END_TEST

START_TEST(connections_are_bounded)
{
	static struct visitor c[HTTP_CONNS_MAX + 8];
	unsigned answered = 0;

	for (unsigned i = 0; i < HTTP_CONNS_MAX + 8; i++) {
		visit(&c[i]);
		world_turn(&v.w, 1000);
	}
	say(&c[HTTP_CONNS_MAX + 7], "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	for (unsigned k = 0; k < 50; k++) {
		world_turn(&v.w, 5000);
		listen_to(&c[HTTP_CONNS_MAX + 7]);
	}
	ck_assert_uint_eq(c[HTTP_CONNS_MAX + 7].len, 0); /* it waits in the queue */
	for (unsigned i = 0; i < 20; i++)
		close(c[i].fd);
	for (unsigned k = 0; k < 2000 && answered == 0; k++) {
		world_turn(&v.w, 5000);
		listen_to(&c[HTTP_CONNS_MAX + 7]);
		answered = strstr(c[HTTP_CONNS_MAX + 7].text, "ok\n") != NULL;
	}
	ck_assert_uint_eq(answered, 1);
	for (unsigned i = 20; i < HTTP_CONNS_MAX + 8; i++)
		close(c[i].fd);
}
END_TEST

START_TEST(a_request_that_trickles_in_is_ended)
{
	static struct visitor slow, quick;
	uint64_t until;

	visit(&slow);
	say(&slow, "GET /healthz HTTP/1.1\r\nX: ");
	until = env_now_us(&v.w.env) + HTTP_REQUEST_S * 1000000u / 2;
	while (env_now_us(&v.w.env) < until + HTTP_REQUEST_S * 1000000u && !slow.is_closed) {
		(void)!send(slow.fd, "x", 1, MSG_NOSIGNAL);
		for (unsigned i = 0; i < 20; i++)
			world_turn(&v.w, 50000);
		listen_to(&slow);
		ck_assert_uint_eq(slow.len, 0);
		ck_assert(!slow.is_closed || env_now_us(&v.w.env) > until);
	}
	ck_assert(slow.is_closed);
	close(slow.fd);
	visit(&quick);
	close(quick.fd);
	ck_has(get("GET /healthz HTTP/1.0\r\n\r\n"), " 200 ");
}
END_TEST

START_TEST(who_comes_at_once_is_bounded)
{
	static struct visitor c[2 * HTTP_ACCEPTS_MAX];
	unsigned answered = 0, n = 2 * HTTP_ACCEPTS_MAX;
	uint64_t since = env_now_us(&v.w.env), took;

	for (unsigned i = 0; i < n; i++) {
		visit(&c[i]);
		say(&c[i], "GET /healthz HTTP/1.0\r\n\r\n");
	}
	while (answered < n) {
		answered = 0;
		world_turn(&v.w, 5000);
		for (unsigned i = 0; i < n; i++) {
			listen_to(&c[i]);
			answered += strstr(c[i].text, "ok\n") != NULL;
		}
		took = env_now_us(&v.w.env) - since;
		ck_assert_uint_lt(took, WORLD_WAIT_US);
		ck_assert(answered <= HTTP_ACCEPTS_MAX * (1 + took / HTTP_SWEEP_US));
	}
	for (unsigned i = 0; i < n; i++)
		close(c[i].fd);
}
END_TEST

START_TEST(a_port_in_use_is_an_error)
{
	struct http *second = NULL;

	ck_assert_int_ne(http_new(&v.w.env, &v.tools, -1, &second), OK);
	ck_assert(world_has_logged(&v.w, "0 stats port not opened addr=127.0.0.1"));
}
END_TEST

/* --- readyz --- */

static struct topology *topo(void)
{
	return (struct topology *)(uintptr_t)atomic_load(&v.w.sh.topology);
}

START_TEST(ready_when_every_database_has_a_fit_node)
{
	const char *a = get("GET /readyz HTTP/1.0\r\n\r\n");

	ck_has(a, " 503 ");
	ck_assert_str_eq(body_of(a), "database app: no fit node\n");
	topo()->nodes[1].role = TOPO_ROLE_REPLICA;
	topo()->nodes[1].health = TOPO_UP;
	topo()->nodes[1].follows = true;
	a = get("GET /readyz HTTP/1.0\r\n\r\n");
	ck_has(a, " 200 ");
	ck_assert_str_eq(body_of(a), "ready\n");
}
END_TEST

static bool is_ready(char *why)
{
	return ready_check(atomic_load(&v.w.sh.conf), topo(), atomic_load(&v.w.sh.admin), why, 256);
}

START_TEST(ready_follows_route_and_administrator)
{
	struct admin_state *admin = calloc(1, sizeof *admin + sizeof admin->db[0]);
	char why[256];

	free((void *)(uintptr_t)atomic_exchange(&v.w.sh.admin, admin));
	world_set_conf(&v.w, "[databases]\n"
			     "rw = host=10.0.0.1,10.0.0.2 route=primary\n"
			     "ro = host=10.0.0.1,10.0.0.2 route=replica\n"
			     "off = host=10.0.0.9\n"
			     "[pgweir]\nlisten_addr = x\n");
	ck_assert(!is_ready(why));
	ck_assert_str_eq(why, "database ro: no fit node\ndatabase rw: no fit node\n");
	topo()->nodes[0].health = topo()->nodes[1].health = TOPO_UP;
	topo()->nodes[0].role = TOPO_ROLE_PRIMARY;
	topo()->clusters[0].primary = 0;
	ck_assert(!is_ready(why));
	ck_assert_str_eq(why, "database ro: no fit node\n");
	strcpy(admin->db[0].name, "ro");
	admin->db[0].disabled = true;
	admin->n = 1;
	ck_assert(is_ready(why));
	admin->paused_all = true;
	ck_assert(!is_ready(why));
	ck_assert_str_eq(why, "paused\n");
	admin->paused_all = false;
	admin->shutdown_wait_clients = true;
	ck_assert(!is_ready(why));
	ck_assert_str_eq(why, "shutting down\n");
	ck_assert(!ready_check(atomic_load(&v.w.sh.conf), topo(), admin, why, 5));
	ck_assert_str_eq(why, "shut");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("http");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, healthz_is_ok);
	tcase_add_test(tc, the_page_and_its_history_are_there);
	tcase_add_test(tc, other_paths_and_methods_are_refused);
	tcase_add_test(tc, large_heads_are_refused);
	tcase_add_test(tc, metrics_say_what_the_tables_say);
	tcase_add_test(tc, labels_are_escaped);
	tcase_add_test(tc, json_is_one_object_of_tables);
	tcase_add_test(tc, large_answers_come_whole);
	tcase_add_test(tc, head_has_no_body);
	tcase_add_test(tc, connection_is_kept_for_http_1_1);
	tcase_add_test(tc, visitors_that_leave_leave_nothing);
	tcase_add_test(tc, requests_at_a_time_are_bounded);
	tcase_add_test(tc, connections_are_bounded);
	tcase_add_test(tc, a_request_that_trickles_in_is_ended);
	tcase_add_test(tc, who_comes_at_once_is_bounded);
	tcase_add_test(tc, a_port_in_use_is_an_error);
	tcase_add_test(tc, ready_when_every_database_has_a_fit_node);
	tcase_add_test(tc, ready_follows_route_and_administrator);
	return unit_run("http", tc);
}
