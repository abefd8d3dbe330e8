#include "sql/verdict.h"

#include "base/wr.h"
#include "sql/guc.h"
#include "sql/literal.h"
#include "sql/word.h"

const char *sql_class_name(enum sql_class cls)
{
	static const char *const names[] = {
		"empty", "read", "transaction", "session", "write", "unknown"};

	return names[cls];
}

const char *sql_cause_text(enum sql_cause cause)
{
	static const char *const texts[CAUSE_COUNT] = {
		[CAUSE_NONE] = "none",
		[CAUSE_NO_CATALOG] = "catalog not loaded",
		[CAUSE_ENCODING] = "encoding",
		[CAUSE_TOO_LONG] = "too long",
		[CAUSE_SYNTAX] = "syntax",
		[CAUSE_VERB] = "writing statement",
		[CAUSE_LOCKING] = "locking clause",
		[CAUSE_INTO] = "SELECT INTO",
		[CAUSE_CTE_WRITE] = "write in WITH",
		[CAUSE_FUNCTION] = "function",
		[CAUSE_RELATION] = "relation",
		[CAUSE_TYPE] = "type",
		[CAUSE_OPERATOR] = "operator",
		[CAUSE_DATABASE] = "database with a volatile operator or cast that no text names",
		[CAUSE_SERVER] = "differs by server",
		[CAUSE_SEQUENCE] = "sequence",
		[CAUSE_ADVISORY] = "advisory lock",
		[CAUSE_SETTING] = "setting",
		[CAUSE_SESSION] = "session state",
		[CAUSE_NAME] = "name not comparable",
		[CAUSE_TXN] = "read-write transaction",
		[CAUSE_BODY] = "CALL or DO",
	};

	return texts[cause];
}

const char *sql_pin_name(enum sql_pin pin)
{
	static const char *const names[SQL_PIN_COUNT] = {
		[SQL_PIN_NONE] = "none",
		[SQL_PIN_TEMP] = "temp",
		[SQL_PIN_ADVISORY] = "advisory",
		[SQL_PIN_LISTEN] = "listen",
		[SQL_PIN_CURSOR] = "cursor",
		[SQL_PIN_PREPARED] = "prepared",
		[SQL_PIN_CUSTOM_PARAMETER] = "custom_parameter",
		[SQL_PIN_SETTING] = "setting",
		[SQL_PIN_ROLE] = "role",
		[SQL_PIN_LOAD] = "load",
		[SQL_PIN_SEED] = "seed",
		[SQL_PIN_DBLINK] = "dblink",
		[SQL_PIN_SLOT] = "slot",
		[SQL_PIN_UNKNOWN] = "unknown",
	};

	return names[pin];
}

const char *sql_effect_kind_name(enum sql_effect_kind kind)
{
	static const char *const names[EFFECT_COUNT] = {
		[EFFECT_NONE] = "none",
		[EFFECT_BEGIN] = "begin",
		[EFFECT_COMMIT] = "commit",
		[EFFECT_ROLLBACK] = "rollback",
		[EFFECT_SAVEPOINT] = "savepoint",
		[EFFECT_RELEASE] = "release",
		[EFFECT_ROLLBACK_TO] = "rollback_to",
		[EFFECT_SET_TRANSACTION] = "set_transaction",
		[EFFECT_SET_CHARACTERISTICS] = "set_characteristics",
		[EFFECT_SET_SNAPSHOT] = "set_snapshot",
		[EFFECT_SET_CONSTRAINTS] = "set_constraints",
		[EFFECT_PREPARE_TXN] = "prepare_transaction",
		[EFFECT_END_PREPARED] = "end_prepared",
		[EFFECT_SET] = "set",
		[EFFECT_RESET] = "reset",
		[EFFECT_RESET_ALL] = "reset_all",
		[EFFECT_SET_CONFIG] = "set_config",
		[EFFECT_ROLE] = "role",
		[EFFECT_DISCARD_ALL] = "discard_all",
		[EFFECT_DISCARD_PLANS] = "discard_plans",
		[EFFECT_DISCARD_TEMP] = "discard_temp",
		[EFFECT_DISCARD_SEQUENCES] = "discard_sequences",
		[EFFECT_TEMP] = "temp",
		[EFFECT_ADVISORY_LOCK] = "advisory_lock",
		[EFFECT_ADVISORY_UNLOCK] = "advisory_unlock",
		[EFFECT_ADVISORY_UNLOCK_ALL] = "advisory_unlock_all",
		[EFFECT_LISTEN] = "listen",
		[EFFECT_UNLISTEN] = "unlisten",
		[EFFECT_UNLISTEN_ALL] = "unlisten_all",
		[EFFECT_DECLARE] = "declare",
		[EFFECT_CLOSE] = "close",
		[EFFECT_CLOSE_ALL] = "close_all",
		[EFFECT_PREPARE] = "prepare",
		[EFFECT_EXECUTE] = "execute",
		[EFFECT_DEALLOCATE] = "deallocate",
		[EFFECT_DEALLOCATE_ALL] = "deallocate_all",
		[EFFECT_LOAD] = "load",
		[EFFECT_SETSEED] = "setseed",
		[EFFECT_DBLINK] = "dblink",
		[EFFECT_SLOT] = "slot",
		[EFFECT_STATEMENTS] = "statements",
		[EFFECT_RUNS] = "runs",
		[EFFECT_SETVAL] = "setval",
		[EFFECT_DEFAULTS] = "defaults",
		[EFFECT_SIGNAL] = "signal",
		[EFFECT_UNKNOWN] = "unknown",
	};

	return names[kind];
}

static enum sql_pin setting_pin(const struct sql_effect *e)
{
	if ((e->flags & SQL_EFFECT_LOCAL) != 0)
		return SQL_PIN_NONE;
	if ((e->flags & SQL_EFFECT_CUSTOM) != 0)
		return SQL_PIN_CUSTOM_PARAMETER;
	return e->kind == EFFECT_SET_CONFIG || (e->flags & SQL_EFFECT_UNTRACKED) != 0
		       ? SQL_PIN_SETTING
		       : SQL_PIN_NONE;
}

enum sql_pin sql_effect_pin(const struct sql_effect *e)
{
	static const uint8_t pins[EFFECT_COUNT] = {
		[EFFECT_TEMP] = SQL_PIN_TEMP,
		[EFFECT_ADVISORY_LOCK] = SQL_PIN_ADVISORY,
		[EFFECT_LISTEN] = SQL_PIN_LISTEN,
		[EFFECT_PREPARE] = SQL_PIN_PREPARED,
		[EFFECT_ROLE] = SQL_PIN_ROLE,
		[EFFECT_LOAD] = SQL_PIN_LOAD,
		[EFFECT_SETSEED] = SQL_PIN_SEED,
		[EFFECT_DBLINK] = SQL_PIN_DBLINK,
		[EFFECT_SLOT] = SQL_PIN_SLOT,
		[EFFECT_UNKNOWN] = SQL_PIN_UNKNOWN,
	};

	switch ((enum sql_effect_kind)e->kind) {
	case EFFECT_SET:
	case EFFECT_SET_CONFIG:
		return setting_pin(e);
	case EFFECT_DECLARE:
		return (e->flags & SQL_EFFECT_HOLD) != 0 ? SQL_PIN_CURSOR : SQL_PIN_NONE;
	case EFFECT_ROLE:
		return (e->flags & SQL_EFFECT_LOCAL) != 0 || e->value.len == 0 ? SQL_PIN_NONE
									       : SQL_PIN_ROLE;
	default:
		return (enum sql_pin)pins[e->kind];
	}
}

static const char *implied_name(const struct sql_effect *e)
{
	static const char *const names[IMPLIED_COUNT] = {
		[IMPLIED_NONE] = NULL,
		[IMPLIED_TIMEZONE] = "timezone",
		[IMPLIED_CLIENT_ENCODING] = "client_encoding",
		[IMPLIED_SEARCH_PATH] = "search_path",
		[IMPLIED_TRANSACTION_ISOLATION] = "transaction_isolation",
		[IMPLIED_SESSION_AUTHORIZATION] = "session_authorization",
		[IMPLIED_XMLOPTION] = "xmloption",
		[IMPLIED_ROLE] = "role",
	};

	return names[e->implied];
}

static bool names_parameter(const struct sql_effect *e)
{
	return e->kind == EFFECT_SET || e->kind == EFFECT_RESET || e->kind == EFFECT_SET_CONFIG ||
	       e->kind == EFFECT_ROLE || e->kind == EFFECT_NONE;
}

/* ColId [. ColId]…, a string (set_config, a prepared transaction's id), as one name. */
static enum status decode_name(struct lexer *lx, const char *text, struct wr *out)
{
	char part[SQL_NAME_MAX + 1];
	enum status st = OK;
	struct token t;
	size_t len;

	for (lexer_next(lx, &t); lexer_is_inside(lx, &t) && st == OK; lexer_next(lx, &t)) {
		if (t.c == '.') {
			wr_u8(out, '.');
		} else if (token_is_string(&t)) {
			st = literal_string(text, &t, '\\', (char *)out->buf + out->len,
				out->cap - out->len, &len);
			out->len += st == OK ? len : 0;
		} else if ((st = literal_name(text, &t, '\\', part, &len)) == OK) {
			wr_bytes(out, part, len);
		}
	}
	return st;
}

static enum status finish(struct wr *out, size_t *len)
{
	*len = out->len;
	wr_u8(out, 0);
	return out->bad ? E_LIMIT : OK;
}

static void fold_ascii(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] |= 0x20;
}

enum status sql_effect_name(const char *text, uint32_t opts, const struct sql_effect *e, char *buf,
	size_t cap, size_t *len)
{
	struct wr out = wr_of(buf, cap);
	struct lexer lx;
	enum status st;

	if (implied_name(e) != NULL) {
		wr_str(&out, implied_name(e));
		return finish(&out, len);
	}
	if (e->name.len == 0)
		return E_NOTFOUND;
	lexer_init_view(&lx, text, e->name, opts);
	if ((st = decode_name(&lx, text, &out)) != OK)
		return st;
	if (out.bad)
		return E_LIMIT;
	if (names_parameter(e)) {
		fold_ascii(out.buf, out.len);
		if (!guc_name_is_valid(buf, out.len))
			return E_INVALID;
	}
	return finish(&out, len);
}

/* As the server's quote_identifier: in quotes unless it is a plain word of lower case. */
static void put_identifier(struct wr *out, const char *name, size_t len)
{
	enum word_category c = word_category(word_find(word_hash(name, len)));
	bool plain = len > 0 && c != WORD_R && c != WORD_T && c != WORD_C &&
		     !(name[0] >= '0' && name[0] <= '9');

	for (size_t i = 0; i < len && plain; i++)
		plain = (name[i] >= 'a' && name[i] <= 'z') || name[i] == '_' ||
			(name[i] >= '0' && name[i] <= '9');
	if (!plain)
		wr_u8(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '"')
			wr_u8(out, '"');
		wr_u8(out, (uint8_t)name[i]);
	}
	if (!plain)
		wr_u8(out, '"');
}

/* A whole number as %d prints it; one that does not fit stays as it is written, as in the server.
 */
static void put_number(struct wr *out, const char *digits, size_t len)
{
	size_t zeros = 0;
	uint64_t v = 0;

	while (zeros + 1 < len && digits[zeros] == '0')
		zeros++;
	for (size_t i = zeros; i < len && v <= INT32_MAX; i++)
		v = 10 * v + (uint64_t)(digits[i] - '0');
	if (v > INT32_MAX)
		zeros = 0;
	wr_bytes(out, digits + zeros, len - zeros);
}

#define QUOTED_ITEM_MAX 1024u /* bytes of one string in a list of identifiers */

/* A string token, quoted as an identifier. */
static enum status put_string_quoted(struct wr *out, const char *text, const struct token *t)
{
	char item[QUOTED_ITEM_MAX];
	size_t len;
	enum status st = literal_string(text, t, '\\', item, sizeof item, &len);

	if (st == OK)
		put_identifier(out, item, len);
	return st;
}

/* A string token straight into the rest of `out`. */
static enum status put_string(struct wr *out, const char *text, const struct token *t)
{
	size_t len;
	enum status st = literal_string(
		text, t, '\\', (char *)out->buf + out->len, out->cap - out->len, &len);

	if (st == OK)
		out->len += len;
	return st;
}

static enum status put_word(struct wr *out, const char *text, const struct token *t, bool quoted)
{
	char item[SQL_NAME_MAX + 1];
	size_t len;
	enum status st = literal_name(text, t, '\\', item, &len);

	if (st == OK && quoted)
		put_identifier(out, item, len);
	else if (st == OK)
		wr_bytes(out, item, len);
	return st;
}

/* One token of a value list: what it adds to the string. */
static enum status put_value(struct wr *out, const char *text, const struct token *t, bool quoted)
{
	if (token_is_string(t))
		return quoted ? put_string_quoted(out, text, t) : put_string(out, text, t);
	if (t->kind == TOKEN_INTEGER)
		put_number(out, text + t->off, t->len);
	else if (t->kind == TOKEN_FLOAT)
		wr_bytes(out, text + t->off, t->len);
	else if (t->c == ',')
		wr_str(out, ", ");
	else if (t->c == '-')
		wr_u8(out, '-');
	else if (t->c != '+')
		return put_word(out, text, t, quoted);
	return OK;
}

/* Is the parameter's value a list of identifiers? What set_config sets is not quoted again. */
static bool is_list_quoted(const char *text, uint32_t opts, const struct sql_effect *e)
{
	char name[GUC_NAME_MAX + 1];
	size_t len;

	return e->kind == EFFECT_SET &&
	       sql_effect_name(text, opts, e, name, sizeof name, &len) == OK &&
	       guc_is_list_quoted(name);
}

static bool has_value(const struct sql_effect *e)
{
	if (e->value.len == 0)
		return false;
	return e->kind == EFFECT_SET_CONFIG || ((e->kind == EFFECT_SET || e->kind == EFFECT_ROLE) &&
						       (e->flags & SQL_EFFECT_UNTRACKED) == 0);
}

enum status sql_effect_value(const char *text, uint32_t opts, const struct sql_effect *e, char *buf,
	size_t cap, size_t *len)
{
	struct wr out = wr_of(buf, cap);
	bool quoted = is_list_quoted(text, opts, e);
	enum status st = OK;
	struct lexer lx;
	struct token t;

	if (!has_value(e))
		return E_NOTFOUND;
	lexer_init_view(&lx, text, e->value, opts);
	for (lexer_next(&lx, &t); lexer_is_inside(&lx, &t) && st == OK; lexer_next(&lx, &t))
		st = put_value(&out, text, &t, quoted);
	return st != OK ? st : finish(&out, len);
}
