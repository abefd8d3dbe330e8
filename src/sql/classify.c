#include "sql/classify.h"

#include <string.h>

#include "sql/encoding.h"
#include "sql/plain.h"
#include "sql/scan.h"
#include "sql/stmt.h"
#include "sql/walk.h"

typedef void statement(struct scan *s);

static statement *const statements[WORD_COUNT] = {
	[WORD_SELECT] = stmt_read,
	[WORD_VALUES] = stmt_read,
	[WORD_TABLE] = stmt_read,
	[WORD_WITH] = stmt_read,
	[WORD_EXPLAIN] = stmt_explain,
	[WORD_SHOW] = stmt_show,
	[WORD_COPY] = stmt_copy,
	[WORD_BEGIN] = stmt_begin,
	[WORD_START] = stmt_begin,
	[WORD_COMMIT] = stmt_commit,
	[WORD_END] = stmt_commit,
	[WORD_ROLLBACK] = stmt_rollback,
	[WORD_ABORT] = stmt_rollback,
	[WORD_SAVEPOINT] = stmt_savepoint,
	[WORD_RELEASE] = stmt_release,
	[WORD_SET] = stmt_set,
	[WORD_RESET] = stmt_reset,
	[WORD_DISCARD] = stmt_discard,
	[WORD_PREPARE] = stmt_prepare,
	[WORD_EXECUTE] = stmt_execute,
	[WORD_DEALLOCATE] = stmt_deallocate,
	[WORD_DECLARE] = stmt_declare,
	[WORD_FETCH] = stmt_fetch,
	[WORD_MOVE] = stmt_fetch,
	[WORD_CLOSE] = stmt_close,
	[WORD_LISTEN] = stmt_listen,
	[WORD_UNLISTEN] = stmt_unlisten,
	[WORD_NOTIFY] = stmt_notify,
	[WORD_LOAD] = stmt_load,
	[WORD_CALL] = stmt_call,
	[WORD_DO] = stmt_do,
	[WORD_INSERT] = stmt_modify,
	[WORD_UPDATE] = stmt_modify,
	[WORD_DELETE] = stmt_modify,
	[WORD_MERGE] = stmt_modify,
	[WORD_CREATE] = stmt_create,
	[WORD_ALTER] = stmt_alter,
	[WORD_DROP] = stmt_alter,
	[WORD_GRANT] = stmt_alter,
	[WORD_REVOKE] = stmt_alter,
	[WORD_COMMENT] = stmt_alter,
	[WORD_SECURITY] = stmt_alter,
	[WORD_IMPORT] = stmt_alter,
	[WORD_REASSIGN] = stmt_alter,
	[WORD_TRUNCATE] = stmt_maintain,
	[WORD_REFRESH] = stmt_maintain,
	[WORD_REINDEX] = stmt_maintain,
	[WORD_CLUSTER] = stmt_maintain,
	[WORD_VACUUM] = stmt_maintain,
	[WORD_ANALYZE] = stmt_maintain,
	[WORD_ANALYSE] = stmt_maintain,
	[WORD_CHECKPOINT] = stmt_maintain,
	[WORD_LOCK] = stmt_maintain,
};

/* No known statement begins like this: the server refuses it, or is newer than this list. */
static void stmt_unknown(struct scan *s)
{
	scan_object(s, s->t.kind == TOKEN_WORD ? CAUSE_VERB : CAUSE_SYNTAX);
	scan_class(s, SQL_UNKNOWN);
	walk_rest(s);
}

static void judge_statement(struct scan *s)
{
	statement *f = s->t.kind == TOKEN_WORD ? statements[s->t.word] : NULL;

	s->stmt = s->v->n_stmts;
	if (s->v->n_stmts < UINT16_MAX)
		s->v->n_stmts++;
	s->modifies = false;
	s->only_sets = ONLY_SETS_UNKNOWN;
	s->start = s->lx;
	s->start.p = s->start.text + s->t.off;
	if (s->t.c == '(')
		f = stmt_read;
	if (f == NULL)
		f = stmt_unknown;
	f(s);
}

/* The text cannot be read, and the server may read it otherwise: anything may happen. */
static void judge_unreadable(struct scan *s, enum sql_cause cause)
{
	scan_object(s, cause);
	scan_class(s, SQL_UNKNOWN);
	scan_effect(s, EFFECT_UNKNOWN);
	s->v->at.len = 0;
}

/* What does not write by itself may do so by what it calls. */
static void without_catalog(struct scan *s)
{
	if (s->v->cause == CAUSE_NONE && s->v->n_stmts > 0)
		scan_object(s, CAUSE_NO_CATALOG);
	if ((s->v->flags & SQLV_BODY) != 0 && s->v->cls < SQL_WRITE)
		scan_class(s, SQL_UNKNOWN);
}

static void judge_text(struct scan *s)
{
	scan_next(s);
	while (s->t.kind != TOKEN_END) {
		if (s->t.c == ';') {
			scan_next(s);
			continue;
		}
		if ((s->v->flags & SQLV_ENDS_TXN) != 0)
			scan_flag(s, SQLV_MORE_AFTER);
		if (!(s->together && s->prev.c == ';' && plain_statements(s)))
			judge_statement(s);
	}
	if (s->txn_open)
		scan_flag(s, SQLV_OPENS_TXN);
	if (s->cat == NULL)
		without_catalog(s);
	else if (s->v->cause == CAUSE_NONE && catalog_is_all_unsafe(s->cat))
		scan_object(s, CAUSE_DATABASE);
	if (s->v->cause == CAUSE_NONE)
		scan_flag(s, SQLV_REPLICA);
}

static void start(struct scan *s)
{
	/* The effects beyond n_effects stay as they are. */
	memset(s->v, 0, offsetof(struct sql_verdict, effects));
	if (s->objections != NULL)
		s->objections->n = 0;
}

/* `judged` bytes of it are whole statements, of which the verdict tells already. */
static void judge_bytes(struct scan *s, const char *sql, size_t len, uint32_t opts, size_t judged)
{
	enum text_bytes bytes = lexer_inspect(sql, len, (opts & SQL_ENC_UTF8) != 0);

	if (bytes == TEXT_BAD) { /* the server refuses it before it reads it */
		start(s);
		scan_object(s, CAUSE_ENCODING);
		scan_class(s, SQL_UNKNOWN);
		return;
	}
	s->ascii = bytes == TEXT_ASCII;
	lexer_init(&s->lx, sql, len, opts);
	s->lx.p += judged;
	judge_text(s);
}

/*
 * In an encoding whose characters may hide ASCII bytes. What an effect names would be read again
 * from the bytes, by whoever follows it: such a text counts as not read.
 */
static COLD void judge_masked(struct scan *s, const char *sql, size_t len)
{
	char masked[ENCODING_TEXT_MAX + 1];
	uint32_t opts = s->opts;

	s->opts &= SQL_STD_STRINGS;
	if (lexer_inspect(sql, len, false) == TEXT_ASCII) {
		judge_bytes(s, sql, len, s->opts, 0);
		return;
	}
	if (len <= ENCODING_TEXT_MAX && encoding_mask(masked, sql, len, opts)) {
		s->text = masked;
		judge_bytes(s, masked, len, s->opts, 0);
		s->text = sql;
		if (s->v->n_effects == 0)
			return;
		start(s);
	}
	judge_unreadable(s, CAUSE_ENCODING);
}

static void walk(struct scan *s, const char *sql, size_t len, uint32_t opts)
{
	start(s);
	if (len > SQL_LEN_MAX)
		judge_unreadable(s, CAUSE_TOO_LONG);
	else if ((opts & SQL_ENC_UNSAFE) != 0)
		judge_masked(s, sql, len);
	else
		judge_bytes(s, sql, len, opts, 0);
}

/* Not a part of sql_classify: it would save registers for it at every call. */
__attribute__((noinline)) void sql_classify_walking(const char *sql, size_t len, uint32_t opts,
	const struct catalog *cat, struct sql_verdict *out)
{
	struct scan s;

	scan_init(&s, sql, opts, cat, out);
	walk(&s, sql, len, opts);
}

void sql_classify_objections(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out, struct sql_objections *all)
{
	struct scan s;

	scan_init(&s, sql, opts, cat, out);
	s.objections = all;
	walk(&s, sql, len, opts);
}

/* The text from `judged` on, where a statement begins that is not plain, but may have a plain rest.
 */
static __attribute__((noinline)) void classify_rest(const char *sql, size_t len, uint32_t opts,
	const struct catalog *cat, struct sql_verdict *out, size_t judged)
{
	struct scan s;

	scan_init(&s, sql, opts, cat, out);
	s.plain = s.together = true;
	judge_bytes(&s, sql, len, opts, judged);
}

void sql_classify(const char *sql, size_t len, uint32_t opts, const struct catalog *cat,
	struct sql_verdict *out)
{
	size_t judged;

	if (plain_judge(sql, len, opts, cat, out, &judged))
		return;
	if (judged != PLAIN_NOTHING)
		classify_rest(sql, len, opts, cat, out, judged);
	else
		sql_classify_walking(sql, len, opts, cat, out);
}
