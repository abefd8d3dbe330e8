#include "conf/migrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/own.h"
#include "conf/setting_text.h"

#define LINE_MAX_LEN 96u /* characters of a comment */
#define PIECE_MAX    1024u

/* --- putting --- */

static void put(const struct document_out *out, const char *text)
{
	out->put(out->arg, text);
}

/* Comment lines, wrapped. */
static PRINTF_LIKE(2, 3) void comment(const struct document_out *out, const char *fmt, ...)
{
	char text[PIECE_MAX], line[LINE_MAX_LEN + 1];
	const char *p = text;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	while (*p != '\0') {
		size_t len = strlen(p);

		if (len > LINE_MAX_LEN)
			for (len = LINE_MAX_LEN; len > 1 && p[len] != ' '; len--)
				;
		(void)snprintf(line, sizeof line, "%.*s", (int)len, p);
		put(out, ";; ");
		put(out, line);
		put(out, "\n");
		p += len;
		p += strspn(p, " ");
	}
}

static bool is_plain_name(const char *name)
{
	return *name != '\0' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-*") ==
		       strlen(name);
}

/* As the reader takes it: quoted if need be, quotes doubled. */
static void put_name(const struct document_out *out, const char *name)
{
	char one[2] = "";

	if (is_plain_name(name)) {
		put(out, name);
		return;
	}
	put(out, "\"");
	for (; *name != '\0'; name++) {
		*one = *name;
		put(out, *name == '"' ? "\"\"" : one);
	}
	put(out, "\"");
}

static void put_pair(
	const struct document_out *out, bool is_kept, const char *name, const char *value)
{
	put(out, is_kept ? "" : ";");
	put_name(out, name);
	put(out, *value != '\0' ? " = " : " =");
	put(out, value);
	put(out, "\n");
}

/* --- the keys of [pgbouncer] --- */

/* What there is to say of a key that works here as there. */
static const struct {
	const char *key;
	const char *value; /* NULL: whatever it is */
	bool is_kept;
	const char *text;
} advice[] = {
	{"auth_file", NULL, true,
		"pgweir's user has to read it: for the service a copy in /etc/pgweir, 0640 "
		"root:pgweir, as userlist.txt there"},
	{"auth_type", "md5", true,
		"users whose secret is a SCRAM verifier are asked for SCRAM all the same; "
		"scram-sha-256 refuses the others"},
	{"auth_type", "trust", true, "no password is asked: for a closed network alone"},
	{"ignore_startup_parameters", NULL, false,
		"every start-up parameter is accepted here, and follows its client. What is named "
		"here is dropped: keep the line only for that"},
	{"logfile", NULL, true,
		"the service may write to /var/log/pgweir alone; without this line its log is the "
		"journal"},
	{"max_client_conn", NULL, true,
		"an idle client costs less than a kilobyte; pgweir's default is 10000"},
	{"max_prepared_statements", "0", true,
		"without it (200) prepared statements work in transaction mode"},
	{"pidfile", NULL, true,
		"systemd needs none, and the service may write to /run/pgweir alone"},
	{"pool_mode", "session", true,
		"transaction mode is worth a try: settings, prepared statements, LISTEN, temporary "
		"tables and advisory locks work in it as on a connection of one's own"},
	{"pool_mode", "statement", true,
		"transaction mode does the same for statements without BEGIN, and allows BEGIN"},
	{"server_reset_query", NULL, true,
		"runs in session mode only; what a client leaves on a server is cleaned without "
		"it"},
	{"server_reset_query_always", "1", true,
		"not needed: settings are followed, and what is left behind is cleaned; it costs a "
		"round trip for each use of a server"},
	{"so_reuseport", "1", true,
		"one process with several `workers` uses all CPUs, with one set of pools; several "
		"processes need [peers] for cancel requests"},
	{"stats_period", NULL, true,
		"stats_port gives the same numbers, and histograms, to Prometheus"},
	{"unix_socket_dir", NULL, true,
		"the service may write to /run/pgweir alone. Clients that come by the socket have "
		"to be told, and entries of [databases] without a host mean PostgreSQL's socket "
		"in this directory: give them host=, with the old one"},
	{"user", NULL, true, "the service is the user pgweir from the start: no line for it"},
	{"client_tls_sslmode", "allow", true, "a client may come without TLS"},
	{"client_tls_sslmode", "prefer", true, "a client may come without TLS"},
};

static const char *find_advice(const char *key, const char *value, bool *is_kept)
{
	for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
		if (strcmp(advice[i].key, key) != 0 ||
			(advice[i].value != NULL && strcmp(advice[i].value, value) != 0))
			continue;
		*is_kept = advice[i].is_kept;
		return advice[i].text;
	}
	*is_kept = true;
	return NULL;
}

static bool is_last(const struct source_line *line, const struct conf *c)
{
	return source_find(&c->own->source, line->name) == line;
}

static void write_global(
	const struct conf *c, const struct source_line *l, const struct document_out *out)
{
	const struct setting *s = settings_find(SETTING_GLOBAL, l->name);
	bool is_kept = false;
	const char *text;

	put(out, "\n");
	if (!is_last(l, c)) {
		comment(out, "%s:%u: left out: given again below", l->file, l->line);
	} else if (s->type == SETTING_NONE) {
		comment(out, "%s:%u: left out, it does nothing here: %s", l->file, l->line,
			s->note);
	} else {
		text = find_advice(s->name, l->value, &is_kept);
		comment(out, "%s:%u: %s%s%s", l->file, l->line, is_kept ? "kept" : "left out",
			text != NULL ? ": " : "", text != NULL ? text : "");
	}
	put_pair(out, is_kept, s->type == SETTING_NONE ? l->name : s->name, l->value);
}

/*
 * Keys that the file leaves to a default which is another one here. What clients would notice stays
 * as it was; the rest takes the better default.
 */
static void write_default(
	const struct conf *c, const struct setting *s, const struct document_out *out)
{
	static const char *const noticed[] = {"auth_type", "pool_mode", "routing"};
	bool is_kept = false, ignored;
	const char *text = find_advice(s->name, s->def, &ignored);

	for (size_t i = 0; i < sizeof noticed / sizeof *noticed; i++)
		is_kept = is_kept || strcmp(noticed[i], s->name) == 0;
	put(out, "\n");
	comment(out, "not in the old file: PgBouncer's default, which is %s in pgweir%s%s%s",
		s->def_weir,
		is_kept ? "; kept, since clients would notice" : "; the better one holds",
		text != NULL ? ": " : "", text != NULL ? text : "");
	put_pair(out, is_kept, s->name, s->def);
	(void)c;
}

static void write_globals(const struct conf *c, const struct document_out *out)
{
	put(out, "\n[pgweir]\n");
	for (const struct source_line *l = c->own->source.first; l != NULL; l = l->next)
		if (source_is_main(l))
			write_global(c, l, out);
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];

		if (s->scope == SETTING_GLOBAL && s->def_weir != NULL && s->alias_of == NULL &&
			source_find(&c->own->source, s->name) == NULL)
			write_default(c, s, out);
	}
	put(out, "\n");
	comment(out,
		"New here: metrics, health checks and a page for people on a port of their own; "
		"the monitor's user, a member of pg_monitor, for routing");
	put(out, ";stats_port = 9127\n;monitor_user = monitor\n;monitor_password =\n");
}

/* --- entries --- */

static void write_db_advice(
	const struct conf *c, const struct source_line *l, const struct document_out *out)
{
	const struct conf_db *db = conf_find_db(c, l->name);

	if (db == NULL || strcmp(db->name, l->name) != 0)
		return;
	if (db->n_nodes > 1 && !db->routing)
		comment(out, "its hosts are used in turn, as by PgBouncer. If they are a primary "
			     "and its "
			     "replicas, add routing=on (routing=shadow counts only, for a trial): "
			     "writes "
			     "go to the primary, reads to replicas that are fresh enough");
	if (*db->password != '\0' && *db->user != '\0')
		comment(out, "its clients share the server user %s", db->user);
}

static void write_entries(const struct conf *c, enum source_section section, const char *header,
	const struct document_out *out)
{
	if (!c->own->source.has_section[section])
		return;
	put(out, header);
	for (const struct source_line *l = c->own->source.first; l != NULL; l = l->next) {
		if (l->section != section)
			continue;
		put(out, "\n");
		comment(out, "%s:%u: kept", l->file, l->line);
		if (section == SECTION_DATABASES)
			write_db_advice(c, l, out);
		put_pair(out, true, l->name, l->value);
	}
}

void migrate_write(const struct conf *c, const char *from, const struct document_out *out)
{
	comment(out,
		"Made of %s by pgweir --migrate. Lines that have no use here are comments, each "
		"with the reason. It holds the passwords of the old file.",
		from);
	write_entries(c, SECTION_DATABASES, "\n[databases]\n", out);
	write_entries(c, SECTION_USERS, "\n[users]\n", out);
	write_entries(c, SECTION_PEERS, "\n[peers]\n", out);
	write_globals(c, out);
}
