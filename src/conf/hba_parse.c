/* hba_parse - reads the rules of an auth_hba_file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/fields.h"
#include "conf/hba_own.h"
#include "conf/method_options.h"

struct parse {
	struct hba *h;
	const struct hba_source *src;
	struct findings *found;
	/* the line */
	const char *file;
	uint32_t line;
	const char *field; /* for messages: "database", "method" … */
	struct fields_field *at;
	bool wrong; /* it has been told of */
	bool no_memory;
	size_t n_rules, n_names;
};

/* --- telling --- */

static void PRINTF_LIKE(3, 4) tell(struct parse *p, const char *value, const char *fmt, ...)
{
	struct finding_at at = {.file = p->file, .line = p->line, .key = p->field, .value = value};
	char *text;
	va_list ap;

	if (p->wrong)
		return; /* one for a line: the rest follows from it */
	p->wrong = true;
	va_start(ap, fmt);
	text = arena_vprintf(&p->h->arena, fmt, ap);
	va_end(ap);
	if (text == NULL)
		p->no_memory = true;
	else
		findings_add(p->found, FINDING_ERROR, &at, "%s", text);
}

static void *take(struct parse *p, size_t len)
{
	void *m = arena_take(&p->h->arena, len);

	p->no_memory |= m == NULL;
	return m;
}

/* --- words --- */

struct word {
	const char *name;
	unsigned value;
};

#define NO_WORD UINT32_MAX

static unsigned find_word(const struct word *words, const char *name)
{
	for (; words->name != NULL; words++)
		if (strcmp(words->name, name) == 0)
			return words->value;
	return NO_WORD;
}

static const struct word conn_words[] = {
	{"local", HBA_LOCAL},
	{"host", HBA_HOST},
	{"hostssl", HBA_HOSTSSL},
	{"hostnossl", HBA_HOSTNOSSL},
	{"hostgssenc", HBA_HOSTGSSENC},
	{"hostnogssenc", HBA_HOSTNOGSSENC},
	{NULL, 0},
};

static const struct word method_words[] = {
	{"trust", AUTH_TYPE_TRUST},
	{"reject", AUTH_TYPE_REJECT},
	{"password", AUTH_TYPE_PLAIN},
	{"plain", AUTH_TYPE_PLAIN},
	{"md5", AUTH_TYPE_MD5},
	{"scram-sha-256", AUTH_TYPE_SCRAM},
	{"cert", AUTH_TYPE_CERT},
	{"peer", AUTH_TYPE_PEER},
	{"pam", AUTH_TYPE_PAM},
	{"ldap", AUTH_TYPE_LDAP},
	{NULL, 0},
};

/* --- fields --- */

/* The next field of the line, one token long. NULL: it is missing, or a list, which is told. */
static const struct fields_token *single(struct parse *p, const char *field)
{
	struct fields_field *f = p->at;

	p->field = field;
	if (f == NULL) {
		tell(p, NULL, "expected one behind the last word of the line");
		return NULL;
	}
	p->at = f->next;
	if (f->first->next == NULL)
		return f->first;
	tell(p, NULL, "expected one word, found a list");
	return NULL;
}

/* --- databases and users --- */

static bool is_word(const struct fields_token *t, const char *word)
{
	return !t->is_quoted && strcmp(t->text, word) == 0;
}

static void set_pattern(struct parse *p, struct hba_name *n, const char *text)
{
	struct hba *h = p->h;
	char err[PATTERN_ERR_MAX];
	struct pattern **more;
	enum status st;

	more = reallocarray(h->patterns, h->n_patterns + 1, sizeof *more);
	if (more == NULL) {
		p->no_memory = true;
		return;
	}
	h->patterns = more;
	st = pattern_new(text, &n->pattern, err);
	if (st == OK) {
		n->kind = HBA_NAME_PATTERN;
		h->patterns[h->n_patterns++] = n->pattern;
	} else if (st == E_INVALID) {
		tell(p, text, "expected %s", err);
	} else {
		p->no_memory = true;
	}
}

static void read_database(struct hba_name *n, const struct fields_token *t)
{
	if (is_word(t, "sameuser"))
		n->kind = HBA_NAME_SAMEUSER;
	else if (is_word(t, "replication"))
		n->kind = HBA_NAME_REPLICATION;
	else if (is_word(t, "samerole") || is_word(t, "samegroup"))
		n->kind = HBA_NAME_SAMEROLE;
}

static void read_user(struct hba_name *n, const struct fields_token *t)
{
	if (!t->is_quoted && t->text[0] == '+' && t->text[1] != '\0')
		n->kind = HBA_NAME_ROLE;
}

/* One name; `is_user` else a database. Returns where the next one goes. */
static const struct hba_name **add_name(
	struct parse *p, const struct hba_name **to, const struct fields_token *t, bool is_user)
{
	struct hba_name *n = take(p, sizeof *n);

	if (n == NULL)
		return to;
	if (p->n_names++ >= HBA_LIST_MAX) {
		tell(p, NULL, "expected at most %u names", HBA_LIST_MAX);
		return to;
	}
	n->text = t->text;
	if (is_word(t, "all"))
		n->kind = HBA_NAME_ALL;
	else if (t->text[0] == '/')
		set_pattern(p, n, t->text + 1);
	else if (*t->text == '\0' || strlen(t->text) > CONF_NAME_MAX)
		tell(p, t->text, "expected a name of 1 to %u bytes", CONF_NAME_MAX);
	else if (is_user)
		read_user(n, t);
	else
		read_database(n, t);
	*to = n;
	return &n->next;
}

/* --- @files --- */

/* As PostgreSQL: relative to the folder of the file that names it. */
static const char *path_of(struct parse *p, const char *name, const char *from)
{
	const char *slash = strrchr(from, '/');
	const char *path;

	if (name[0] == '/' || slash == NULL)
		return name;
	path = arena_printf(&p->h->arena, "%.*s/%s", (int)(slash - from), from, name);
	p->no_memory |= path == NULL;
	return path;
}

static const struct hba_name **add_names(struct parse *p, const struct hba_name **to,
	const struct fields_token *t, bool is_user, const char *file, unsigned depth);

static const struct hba_name **add_lines(struct parse *p, const struct hba_name **to,
	struct fields *text, bool is_user, const char *path, unsigned depth)
{
	struct fields_line line;
	enum status st;

	while (!p->wrong && !p->no_memory && (st = fields_next(text, &line)) != E_NOTFOUND) {
		if (st == E_NOMEM)
			p->no_memory = true;
		else if (line.wrong != NULL)
			tell(p, path, "line %u: %s", line.line, line.wrong);
		for (struct fields_field *f = line.first; st == OK && f != NULL; f = f->next)
			to = add_names(p, to, f->first, is_user, path, depth);
	}
	return to;
}

static const struct hba_name **add_file(
	struct parse *p, const struct hba_name **to, const char *path, bool is_user, unsigned depth)
{
	const struct conf_reader *reader = p->src->reader;
	struct fields text;
	enum status st;
	char *data;
	size_t len;

	if (path == NULL)
		return to;
	if (depth > HBA_DEPTH_MAX) {
		tell(p, path, "expected @files at most %u deep; does it name itself?",
			HBA_DEPTH_MAX);
		return to;
	}
	errno = 0;
	st = reader->read(reader->arg, path, &data, &len);
	if (st != OK) {
		tell(p, path, "cannot be read: %s",
			st == E_IO && errno != 0 ? strerror(errno) : status_name(st));
		return to;
	}
	text = fields_of(data, len, &p->h->arena);
	to = add_lines(p, to, &text, is_user, path, depth);
	free(data);
	return to;
}

static const struct hba_name **add_names(struct parse *p, const struct hba_name **to,
	const struct fields_token *t, bool is_user, const char *file, unsigned depth)
{
	for (; t != NULL && !p->wrong && !p->no_memory; t = t->next) {
		if (!t->is_quoted && t->text[0] == '@' && t->text[1] != '\0')
			to = add_file(p, to, path_of(p, t->text + 1, file), is_user, depth + 1);
		else
			to = add_name(p, to, t, is_user);
	}
	return to;
}

static const struct hba_name *read_names(struct parse *p, bool is_user)
{
	struct fields_field *f = p->at;
	const struct hba_name *first = NULL;

	p->field = is_user ? "user" : "database";
	if (f == NULL) {
		tell(p, NULL, "expected one behind the last word of the line");
		return NULL;
	}
	p->at = f->next;
	p->n_names = 0;
	(void)add_names(p, &first, f->first, is_user, p->file, 0);
	return first;
}

/* --- the address --- */

static void set_own(struct parse *p, struct hba_rule *r, bool hosts)
{
	const struct hba_own *own = p->src->own;
	size_t n = own != NULL ? own->n : 0;
	struct cidr *nets = take(p, n * sizeof *nets);

	for (size_t i = 0; nets != NULL && i < n; i++) {
		nets[i] = own->nets[i];
		if (hosts)
			memset(nets[i].mask, 0xff, sizeof nets[i].mask);
	}
	r->nets = nets;
	r->n_nets = nets != NULL ? n : 0;
}

static void read_mask(struct parse *p, struct cidr *net)
{
	const struct fields_token *t = single(p, "mask");
	struct cidr_addr mask;

	if (t != NULL && (cidr_addr_parse(t->text, &mask) != OK || cidr_set_mask(net, &mask) != OK))
		tell(p, t->text,
			"expected a mask of the address's kind, such as 255.255.255.0, "
			"or /length behind the address");
}

static void read_address(struct parse *p, struct hba_rule *r)
{
	const struct fields_token *t = single(p, "address");
	struct cidr *net;

	if (t == NULL)
		return;
	if (is_word(t, "all")) {
		r->all_addresses = true;
		return;
	}
	if (is_word(t, "samehost") || is_word(t, "samenet")) {
		set_own(p, r, is_word(t, "samehost"));
		return;
	}
	if ((net = take(p, sizeof *net)) == NULL)
		return;
	if (cidr_parse(t->text, net) != OK)
		tell(p, t->text,
			"expected an address with /length or a mask, all, samehost or "
			"samenet; names of hosts are not resolved at login");
	else if (strchr(t->text, '/') == NULL)
		read_mask(p, net);
	r->nets = net;
	r->n_nets = 1;
}

/* --- method and options --- */

static void read_method(struct parse *p, struct hba_rule *r)
{
	const struct fields_token *t = single(p, "method");
	unsigned method;

	if (t == NULL)
		return;
	method = find_word(method_words, t->text);
	if (strcmp(t->text, "ident") == 0 && r->conn == HBA_LOCAL)
		method = AUTH_TYPE_PEER; /* PostgreSQL's older name for it */
	if (method == NO_WORD) {
		tell(p, t->text,
			"expected trust, reject, password, md5, scram-sha-256, cert, "
			"peer, pam or ldap");
		return;
	}
	r->method = (enum auth_type)method;
	if (r->method == AUTH_TYPE_CERT)
		r->clientcert = HBA_CLIENTCERT_VERIFY_FULL;
	if (r->method == AUTH_TYPE_PEER && r->conn != HBA_LOCAL)
		tell(p, t->text, "expected a line that begins with local");
	if (r->method == AUTH_TYPE_CERT && r->conn != HBA_HOSTSSL)
		tell(p, t->text, "expected a line that begins with hostssl");
}

static void set_clientcert(struct parse *p, struct hba_rule *r, const char *value)
{
	bool full = strcmp(value, "verify-full") == 0;

	if (r->conn != HBA_HOSTSSL)
		tell(p, value, "expected a line that begins with hostssl");
	else if (!full && (strcmp(value, "verify-ca") != 0 || r->method == AUTH_TYPE_CERT))
		tell(p, value,
			r->method == AUTH_TYPE_CERT ? "expected verify-full with method cert"
						    : "expected verify-ca or verify-full");
	else
		r->clientcert = full ? HBA_CLIENTCERT_VERIFY_FULL : HBA_CLIENTCERT_VERIFY_CA;
}

static void set_clientname(struct parse *p, struct hba_rule *r, const char *value)
{
	if (r->conn != HBA_HOSTSSL)
		tell(p, value, "expected a line that begins with hostssl");
	else if (strcmp(value, "CN") != 0 && strcmp(value, "DN") != 0)
		tell(p, value, "expected CN or DN");
	r->clientname_is_dn = strcmp(value, "DN") == 0;
}

static void set_map(struct parse *p, struct hba_rule *r, const char *value)
{
	if (r->method != AUTH_TYPE_CERT && r->method != AUTH_TYPE_PEER &&
		r->clientcert != HBA_CLIENTCERT_VERIFY_FULL)
		tell(p, value, "expected it with cert, peer or clientcert=verify-full");
	r->map = value;
}

/* name="value", a quote in the value doubled, behind those that are there. */
static void add_option(struct parse *p, struct hba_rule *r, const char *name, const char *value)
{
	size_t len = strlen(r->options), max = len + strlen(name) + 2 * strlen(value) + 5;
	char *text = take(p, max), *to;

	if (text == NULL)
		return;
	to = stpcpy(text, r->options);
	if (to != text)
		*to++ = ' ';
	to = stpcpy(stpcpy(to, name), "=\"");
	for (const char *v = value; *v != '\0'; v++) {
		if (*v == '"')
			*to++ = '"';
		*to++ = *v;
	}
	*to++ = '"';
	r->options = text;
}

static bool has_options(const struct hba_rule *r)
{
	return r->method == AUTH_TYPE_PAM || r->method == AUTH_TYPE_LDAP;
}

static void read_option(struct parse *p, struct hba_rule *r, const char *text)
{
	const char *equals = strchr(text, '=');
	const char *name;

	if (equals == NULL) {
		tell(p, NULL, "expected name=value"); /* it may be half of a password */
		return;
	}
	name = p->field = arena_strndup(&p->h->arena, text, (size_t)(equals - text));
	if (name == NULL)
		p->no_memory = true;
	else if (strcmp(name, "clientcert") == 0)
		set_clientcert(p, r, equals + 1);
	else if (strcmp(name, "clientname") == 0)
		set_clientname(p, r, equals + 1);
	else if (strcmp(name, "map") == 0)
		set_map(p, r, equals + 1);
	else if (has_options(r))
		add_option(p, r, name, equals + 1);
	else
		tell(p, NULL,
			"expected clientcert, clientname, map, or, with their methods, options of "
			"pam and ldap");
}

/* Those of pam and ldap, all of which are there. */
static void check_options(struct parse *p, const struct hba_rule *r)
{
	struct method_options_error err;
	struct method_options unused;
	enum status st = method_options_read(r->method, r->options, &p->h->arena, &unused, &err);

	if (st == E_NOMEM)
		p->no_memory = true;
	if (st != E_INVALID)
		return;
	p->field = "option";
	if (*err.key != '\0' && (p->field = arena_strdup(&p->h->arena, err.key)) == NULL)
		p->no_memory = true;
	else
		tell(p, NULL, "expected %s", err.expected);
}

/* map is the last to be looked at: clientcert may stand behind it. */
static void read_options(struct parse *p, struct hba_rule *r)
{
	struct fields_field *from = p->at;

	for (int maps = 0; maps < 2; maps++)
		for (struct fields_field *f = from; f != NULL; f = f->next)
			for (struct fields_token *t = f->first; t != NULL; t = t->next)
				if ((strncmp(t->text, "map=", 4) == 0) == maps) {
					p->field = "option";
					read_option(p, r, t->text);
				}
}

/* --- lines --- */

static void read_rule(struct parse *p, struct hba_rule *r)
{
	const struct fields_token *t = single(p, "type");
	unsigned conn = NO_WORD;

	if (t != NULL && (conn = find_word(conn_words, t->text)) == NO_WORD)
		tell(p, t->text,
			"expected local, host, hostssl, hostnossl, hostgssenc or "
			"hostnogssenc");
	if (p->wrong)
		return;
	r->conn = (enum hba_conn)conn;
	r->databases = read_names(p, false);
	r->users = p->wrong ? NULL : read_names(p, true);
	if (!p->wrong && r->conn != HBA_LOCAL)
		read_address(p, r);
	if (!p->wrong)
		read_method(p, r);
	if (!p->wrong)
		read_options(p, r);
	if (!p->wrong && !p->no_memory && has_options(r))
		check_options(p, r);
}

static void read_line(struct parse *p, const struct fields_line *line, const struct hba_rule ***to)
{
	struct hba_rule *r = take(p, sizeof *r);

	p->line = line->line;
	p->field = "";
	p->at = line->first;
	p->wrong = false;
	if (r == NULL)
		return;
	*r = (struct hba_rule){.file = p->file, .line = line->line, .map = "", .options = ""};
	if (line->wrong != NULL)
		tell(p, NULL, "%s", line->wrong);
	else if (p->n_rules++ >= HBA_RULES_MAX)
		tell(p, NULL, "expected at most %u rules", HBA_RULES_MAX);
	else
		read_rule(p, r);
	**to = r;
	*to = &r->next;
}

static enum status parse(struct parse *p)
{
	struct fields text = fields_of(p->src->text, p->src->len, &p->h->arena);
	const struct hba_rule *first = NULL, **to = &first;
	size_t n_errors = p->found->n_errors;
	struct fields_line line;
	enum status st = OK;

	p->file = arena_strdup(&p->h->arena, p->src->file);
	p->no_memory = p->file == NULL;
	while (!p->no_memory && p->n_rules <= HBA_RULES_MAX &&
		(st = fields_next(&text, &line)) == OK)
		read_line(p, &line, &to);
	p->h->first = first;
	if (p->no_memory || st == E_NOMEM)
		return E_NOMEM;
	return p->found->n_errors == n_errors ? OK : E_INVALID;
}

enum status hba_parse(const struct hba_source *src, struct hba **out, struct findings *found)
{
	struct parse p = {.h = calloc(1, sizeof *p.h), .src = src, .found = found};
	enum status st;

	*out = NULL;
	if (p.h == NULL)
		return E_NOMEM;
	arena_init(&p.h->arena);
	if ((st = parse(&p)) == OK)
		*out = p.h;
	else
		hba_free(p.h);
	return st;
}
