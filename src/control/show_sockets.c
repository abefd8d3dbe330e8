#include "control/show.h"

#include <stdio.h>

#include "conf/conf.h"
#include "control/console.h"
#include "proto/startup.h"
#include "state/pins.h"

#define I4 REPLY_TYPE_INT4
#define I8 REPLY_TYPE_INT8
#define T  REPLY_TYPE_TEXT

#define SOCKET_COLUMNS                                                                            \
	{"type", T}, {"user", T}, {"database", T}, {"replication", T}, {"state", T}, {"addr", T}, \
		{"port", I4}, {"local_addr", T}, {"local_port", I4}, {"connect_time", T},         \
		{"request_time", T}, {"wait", I4}, {"wait_us", I4}, {"close_needed", I4},         \
		{"ptr", T}, {"link", T}, {"remote_pid", I4}, {"tls", T}, {"application_name", T}, \
		{"prepared_statements", I4},                                                      \
	{                                                                                         \
		"id", I8                                                                          \
	}

/* CLIENTS and SERVERS. */
static const struct reply_column peer_columns[] = {SOCKET_COLUMNS};

/* The same on the console of our name. */
static const struct reply_column our_columns[] = {
	SOCKET_COLUMNS, {"linked_id", I8}, {"node", T}, {"statement", T}, {"pins", T}};

/* SOCKETS: with the buffers' state, which we do not keep per connection. */
static const struct reply_column socket_columns[] = {SOCKET_COLUMNS, {"recv_pos", I4},
	{"pkt_pos", I4}, {"pkt_remain", I4}, {"send_pos", I4}, {"send_remain", I4},
	{"pkt_avail", I4}, {"send_avail", I4}};

#define BUFFER_COLUMNS 7u

_Static_assert(sizeof our_columns != sizeof socket_columns, "told apart by their number");

static const char *state_word(const struct show_socket_row *r)
{
	static const char *const client[] = {
		"active", "idle", "waiting", "login", "active_cancel_req", "waiting_cancel_req"};
	static const char *const server[] = {
		"active", "idle", "used", "tested", "new", "active_cancel", "being_canceled"};

	if (r->type == 'C')
		return r->state < sizeof client / sizeof *client ? client[r->state] : "";
	return r->state < sizeof server / sizeof *server ? server[r->state] : "";
}

static const char *replication_word(const struct show_socket_row *r)
{
	if (r->replication == STARTUP_REPLICATION_OFF)
		return "none";
	return r->replication == STARTUP_REPLICATION_DATABASE ? "logical" : "physical";
}

/* Unix sockets have no port; as PgBouncer, we show that in the name of ours, or of the node's. */
static uint64_t port_of(const struct show_in *in, const struct show_socket_row *r, uint16_t port)
{
	const struct conf_node *n;

	if (port != 0 || r->addr[0] == '\0')
		return port;
	if (r->type == 'C')
		return env_conf(in->env)->listen_port;
	n = r->node >= 0 ? env_conf(in->env)->node_by_id[r->node] : NULL;
	return n != NULL ? n->port : 0;
}

static void put_socket(const struct show_in *in, const struct show_socket_row *r, struct rows *out)
{
	char type[2] = {r->type, '\0'};

	rows_text(out, type);
	rows_text(out, r->user);
	rows_text(out, r->database);
	rows_text(out, replication_word(r));
	rows_text(out, state_word(r));
	rows_text(out, r->addr);
	rows_u64(out, port_of(in, r, r->port));
	rows_text(out, r->local_addr);
	rows_u64(out, port_of(in, r, r->local_port));
	rows_time(out, r->connect_wall_us);
	rows_time(out, r->request_wall_us);
	rows_u64(out, r->wait_us / 1000000u);
	rows_u64(out, r->wait_us % 1000000u);
	rows_u64(out, r->close_needed);
	rows_hex(out, r->ptr);
	rows_hex(out, r->link);
	rows_u64(out, r->remote_pid);
	rows_text(out, r->tls);
	rows_text(out, r->application_name);
	rows_u64(out, r->prepared_statements);
	rows_u64(out, r->id);
}

/* Words for all causes, joined by commas; NULL: none. */
static const char *pin_words(uint64_t causes, char *buf, size_t cap)
{
	size_t len = 0;

	for (unsigned c = 0; c < PIN_CAUSE_COUNT; c++)
		if ((causes >> c & 1u) != 0 && len < cap)
			len += (size_t)snprintf(buf + len, cap - len, "%s%s", len != 0 ? "," : "",
				pin_cause_name((enum pin_cause)c));
	return len != 0 ? buf : NULL;
}

static void put_ours(const struct show_in *in, const struct show_socket_row *r, struct rows *out)
{
	char fingerprint[17], pins[256];

	snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)r->statement);
	if (r->link != 0)
		rows_u64(out, r->link);
	else
		rows_text(out, NULL);
	rows_text(out, r->node >= 0 ? show_node_name(in->env, r->node) : NULL);
	rows_text(out, r->statement != 0 ? fingerprint : NULL);
	rows_text(out, pin_words(r->pins, pins, sizeof pins));
}

static void put_row(const struct show_in *in, const struct show_socket_row *r, struct rows *out)
{
	if (r->type == 'C' && r->state == SHOW_CL_LOGIN)
		return; /* as PgBouncer: clients that have not logged in belong to no pool */
	rows_begin(out);
	put_socket(in, r, out);
	if (out->n_columns == sizeof our_columns / sizeof *our_columns)
		put_ours(in, r, out);
	for (unsigned i = 0; out->n_columns == sizeof socket_columns / sizeof *socket_columns &&
			     i < BUFFER_COLUMNS;
		i++)
		rows_u64(out, 0);
	rows_end(out);
}

static void stream_socket(
	const struct show_in *in, const struct ask_rows *rows, size_t i, struct rows *out)
{
	put_row(in, &rows->row[i].socket, out);
}

static bool is_active(const struct show_socket_row *r)
{
	if (r->type == 'C')
		return r->state != SHOW_CL_IDLE && r->state != SHOW_CL_LOGIN;
	return r->state == SHOW_SV_ACTIVE || r->state == SHOW_SV_TESTED ||
	       r->state == SHOW_SV_ACTIVE_CANCEL || r->state == SHOW_SV_BEING_CANCELED;
}

static void stream_active(
	const struct show_in *in, const struct ask_rows *rows, size_t i, struct rows *out)
{
	if (is_active(&rows->row[i].socket))
		put_row(in, &rows->row[i].socket, out);
}

/* The clients of the console itself. */
static size_t console_row(const struct show_in *in, size_t pos, struct rows *out)
{
	struct show_socket_row r;

	if (!consoles_row(in->consoles, pos, &r))
		return SIZE_MAX;
	put_row(in, &r, out);
	return pos + 1;
}

/* --- FDS: what PgBouncer gives away to its successor, less the sockets and all that is secret ---
 */

static const struct reply_column fds_columns[] = {{"fd", I4}, {"task", T}, {"user", T},
	{"database", T}, {"addr", T}, {"port", I4}, {"cancel", I8}, {"link", I4},
	{"client_encoding", T}, {"std_strings", T}, {"datestyle", T}, {"timezone", T},
	{"password", T}, {"scram_client_key", REPLY_TYPE_BYTEA},
	{"scram_server_key", REPLY_TYPE_BYTEA}};

#define FDS_UNTOLD 7u /* the last ones */

static void put_fd(const struct show_socket_row *r, struct rows *out)
{
	rows_begin(out);
	rows_i64(out, r->fd);
	rows_text(out, r->type == 'C' ? "client" : "server");
	rows_text(out, r->user);
	rows_text(out, r->database);
	rows_text(out, r->addr);
	rows_u64(out, r->port);
	rows_u64(out, 0);
	rows_u64(out, r->link);
	for (unsigned i = 0; i < FDS_UNTOLD; i++)
		rows_text(out, NULL);
	rows_end(out);
}

static void stream_fd(
	const struct show_in *in, const struct ask_rows *rows, size_t i, struct rows *out)
{
	(void)in;
	if (rows->row[i].socket.fd >= 0)
		put_fd(&rows->row[i].socket, out);
}

static size_t console_fd(const struct show_in *in, size_t pos, struct rows *out)
{
	struct show_socket_row r;

	if (!consoles_row(in->consoles, pos, &r))
		return SIZE_MAX;
	put_fd(&r, out);
	return pos + 1;
}

static const struct reply_column pins_columns[] = {
	{"client", I8},
	{"server", I8},
	{"database", T},
	{"user", T},
	{"node", T},
	{"cause", T},
	{"since", T},
	{"statement", T},
};

static void stream_pin(
	const struct show_in *in, const struct ask_rows *rows, size_t i, struct rows *out)
{
	const struct show_pin_row *r = &rows->row[i].pin;

	rows_begin(out);
	rows_u64(out, r->client);
	rows_u64(out, r->server);
	rows_text(out, r->database);
	rows_text(out, r->user);
	rows_text(out, show_node_name(in->env, r->node));
	rows_text(out, pin_cause_name(r->cause));
	rows_time(out, r->since_wall_us);
	rows_text(out, r->statement);
	rows_end(out);
}

const struct show_table show_clients = {"clients", SHOW_COLUMNS(peer_columns), 0,
	{SHOW_ROWS_CLIENTS, -1}, stream_socket, console_row, false};
const struct show_table show_servers = {"servers", SHOW_COLUMNS(peer_columns), 0,
	{SHOW_ROWS_SERVERS, -1}, stream_socket, NULL, false};
const struct show_table show_clients_ours = {"clients", SHOW_COLUMNS(our_columns), 0,
	{SHOW_ROWS_CLIENTS, -1}, stream_socket, console_row, false};
const struct show_table show_servers_ours = {"servers", SHOW_COLUMNS(our_columns), 0,
	{SHOW_ROWS_SERVERS, -1}, stream_socket, NULL, false};
const struct show_table show_sockets = {"sockets", SHOW_COLUMNS(socket_columns), 0,
	{SHOW_ROWS_CLIENTS, SHOW_ROWS_SERVERS}, stream_socket, console_row, false};
const struct show_table show_active_sockets = {"active_sockets", SHOW_COLUMNS(socket_columns), 0,
	{SHOW_ROWS_CLIENTS, SHOW_ROWS_SERVERS}, stream_active, console_row, false};
const struct show_table show_fds = {"fds", SHOW_COLUMNS(fds_columns), 0,
	{SHOW_ROWS_CLIENTS, SHOW_ROWS_SERVERS}, stream_fd, console_fd, true};
const struct show_table show_pins = {
	"pins", SHOW_COLUMNS(pins_columns), 0, {SHOW_ROWS_PINS, -1}, stream_pin, NULL, false};
