/*
 * The query marks what is dangerous in itself, then everything that reaches it, and tells the
 * names. An object is (cls, oid) with cls f: function, r: relation, t: type.
 *
 *   tree      stored expressions: views' queries, row-level policies, domains' checks, default
 *             arguments, SQL function bodies. Their text names functions by :funcid and the like;
 *             pg_depend would do but for built-in functions, which it does not record.
 *   named     the functions and relations in them
 *   word      the words of function bodies that are strings
 *   edge      which object reaches which
 *   bad       the closure, also of what asks current_setting() (oids 2077, 3294) for something
 *             that is not the client's own
 *   sets      what sets parameters out of sight: catalog_sets.h
 *   advances  tables whose UPDATE or DELETE may run a trigger or a rule
 *
 * Function bodies that are strings are compared word by word with the names of functions and
 * relations: a function labelled stable that calls a writing one is found so in most cases.
 */
#include "sql/catalog_sql.h"

#include <stddef.h>

#include "sql/builtin.h"
#include "sql/catalog_sets.h"

#define EQ    " OPERATOR(pg_catalog.=) "
#define NE    " OPERATOR(pg_catalog.<>) "
#define GE    " OPERATOR(pg_catalog.>=) "
#define LE    " OPERATOR(pg_catalog.<=) "
#define MINUS " OPERATOR(pg_catalog.-) "
#define MATCH " OPERATOR(pg_catalog.~) "
#define LIKE  " OPERATOR(pg_catalog.~~) "
#define TEXT  "::pg_catalog.text"
#define OID   "::pg_catalog.oid"
#define CLASS "::pg_catalog.regclass"

/* first oid that no object of initdb has */
#define USER_OID "16384"

#define IS_BUILTIN_FUNCTION \
	"(p.oid " LE USER_OID " AND p.pronamespace" EQ "'pg_catalog'::pg_catalog.regnamespace)"

#define ITEM(n) "'" n "',"
#define ARRAY_OF(list)           \
	"ARRAY[" list(ITEM) "''" \
			    "]" TEXT "[]"

/* Is the setting `name` the client's own: a custom one, or one that it may set? */
#define IS_CLIENTS_SETTING(name)                                              \
	"(" name LIKE "'%.%' OR EXISTS (SELECT FROM pg_catalog.pg_settings s" \
	" WHERE pg_catalog.lower(s.name)" EQ "pg_catalog.lower(" name ")"     \
	" AND s.context" EQ "ANY (ARRAY['user', 'superuser']" TEXT "[])"      \
	" AND s.name" NE "'transaction_read_only'))"

/* Does a function body call current_setting() with anything but a literal of such a name? */
#define BODY_ASKS_SERVER(text)                                     \
	"EXISTS (SELECT FROM pg_catalog.regexp_matches(" text ","  \
	" 'current_setting\\s*\\(\\s*(''([^'']*)'')?', 'gi') c(m)" \
	" WHERE c.m[2] IS NULL OR NOT " IS_CLIENTS_SETTING("c.m[2]") ")"

/*
 * The same of a stored expression: the calls are counted, and those whose argument is a constant
 * of such a name. A constant's value is its bytes in decimal, behind a length word of four.
 * (pg_get_viewdef would be simpler, but runs SQL of its own under the session's search_path.)
 */
#define TREE_ASKS_SERVER(expr)                                                                  \
	"(SELECT pg_catalog.count(*) FROM pg_catalog.regexp_matches(" expr ","                  \
	" ':funcid (2077|3294) ', 'g'))" NE                                                     \
	"(SELECT pg_catalog.count(*) FROM pg_catalog.regexp_matches(" expr ","                  \
	" ':funcid (?:2077|3294) [^{}]*:args \\(\\{CONST :consttype 25 [^}]*"                   \
	":constvalue [0-9]+ \\[ ([0-9 ]+)\\]', 'g') c(m) CROSS JOIN LATERAL"                    \
	" (SELECT pg_catalog.string_agg(pg_catalog.chr(u.b::pg_catalog.int4), '' ORDER BY u.i)" \
	"  FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.btrim(c.m[1]), ' '))"   \
	"  WITH ORDINALITY u(b, i) WHERE u.i" GE "5) n(name)"                                   \
	" WHERE " IS_CLIENTS_SETTING("n.name") ")"

#define TREES_13                                                                            \
	/* SELECT rules of views */                                                         \
	"SELECT 'r'" TEXT " AS cls, r.ev_class AS oid, r.ev_action" TEXT " AS expr"         \
	" FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid" EQ "r.ev_class" \
	" WHERE r.ev_type" EQ "'1' AND c.relkind" EQ "'v'"                                  \
	" UNION ALL "                                                                       \
	"SELECT 'r', p.polrelid, p.polqual" TEXT " FROM pg_catalog.pg_policy p"             \
	" WHERE p.polcmd" EQ "ANY (ARRAY['r', '*']::pg_catalog.\"char\"[])"                 \
	"  AND p.polqual IS NOT NULL"                                                       \
	" UNION ALL "                                                                       \
	"SELECT 't', n.contypid, n.conbin" TEXT " FROM pg_catalog.pg_constraint n"          \
	" WHERE n.contypid" NE "0" OID " AND n.conbin IS NOT NULL"                          \
	" UNION ALL " /* generated columns that are computed when they are read (18) */     \
	"SELECT 'r', d.adrelid, d.adbin" TEXT " FROM pg_catalog.pg_attrdef d"               \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid" EQ "d.adrelid AND a.attnum" EQ      \
	"d.adnum WHERE a.attgenerated" EQ "'v'"                                             \
	" UNION ALL "                                                                       \
	"SELECT 'f', p.oid, p.proargdefaults" TEXT " FROM pg_catalog.pg_proc p"             \
	" WHERE p.oid" GE USER_OID " AND p.proargdefaults IS NOT NULL"

#define TREES_14                                                            \
	TREES_13                                                            \
	" UNION ALL "                                                       \
	"SELECT 'f', p.oid, p.prosqlbody" TEXT " FROM pg_catalog.pg_proc p" \
	" WHERE p.oid" GE USER_OID " AND p.prosqlbody IS NOT NULL"

/* clang-format off */
#define QUERY(trees) \
"WITH RECURSIVE tree AS MATERIALIZED (" trees ")," \
/* the functions and relations that an expression names */ \
" named AS MATERIALIZED (" \
"SELECT DISTINCT t.cls, t.oid," \
"  CASE WHEN m.m[1]" EQ "'relid' THEN 'r' ELSE 'f' END" TEXT " AS refcls," \
"  m.m[2]" OID " AS ref" \
" FROM tree t CROSS JOIN LATERAL pg_catalog.regexp_matches(t.expr," \
"  ':(funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|relid) ([1-9][0-9]*)', 'g') m(m))," \
/* the words of function bodies that are strings */ \
" body AS MATERIALIZED (" \
"SELECT p.oid, p.prosrc FROM pg_catalog.pg_proc p" \
" JOIN pg_catalog.pg_language l ON l.oid" EQ "p.prolang" \
" WHERE p.oid" GE USER_OID " AND p.provolatile" NE "'v'" \
"  AND NOT l.lanname" EQ "ANY (ARRAY['c', 'internal']::pg_catalog.name[]))," \
" word AS MATERIALIZED (" \
"SELECT DISTINCT b.oid, w.word FROM body b CROSS JOIN LATERAL" \
" (SELECT DISTINCT m.m[1], m.m[2] FROM pg_catalog.regexp_matches(b.prosrc," \
"  '([\".]?)([[:alpha:]_][[:alnum:]_$]*)', 'g') m(m)) d(mark, word)" \
" CROSS JOIN LATERAL (VALUES (d.word), (pg_catalog.lower(d.word))) w(word)" \
/* a reserved word is a name only in quotes or behind a dot */ \
" WHERE d.mark" NE "'' OR NOT EXISTS (SELECT FROM pg_catalog.pg_get_keywords() k" \
"  WHERE k.catcode" EQ "'R' AND k.word" EQ "w.word))," \
" edge(cls, oid, refcls, ref) AS MATERIALIZED (" \
"SELECT n.cls, n.oid, n.refcls, n.ref FROM named n" \
" UNION " \
"SELECT 'f', w.oid, 'f', p.oid FROM word w" \
" JOIN pg_catalog.pg_proc p ON p.proname" TEXT EQ "w.word" \
" UNION " \
"SELECT 'f', w.oid, 'r', c.oid FROM word w" \
" JOIN pg_catalog.pg_class c ON c.relname" TEXT EQ "w.word" \
"  AND c.relkind" EQ "ANY (ARRAY['r', 'p', 'v', 'f', 'S']::pg_catalog.\"char\"[])" \
" UNION " \
/* dependencies on users' objects: of views, policies, checks, function bodies, arguments */ \
"SELECT o.cls, o.oid, CASE WHEN d.refclassid" EQ "'pg_catalog.pg_proc'" CLASS " THEN 'f'" \
"  WHEN d.refclassid" EQ "'pg_catalog.pg_class'" CLASS " THEN 'r' ELSE 't' END, d.refobjid" \
" FROM pg_catalog.pg_depend d JOIN (" \
"SELECT 'pg_catalog.pg_rewrite'" CLASS OID " AS classid, r.oid AS objid, 'r'" TEXT " AS cls," \
"  r.ev_class AS oid" \
" FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid" EQ "r.ev_class" \
" WHERE r.ev_type" EQ "'1' AND c.relkind" EQ "'v'" \
" UNION ALL " \
"SELECT 'pg_catalog.pg_policy'" CLASS OID ", p.oid, 'r', p.polrelid FROM pg_catalog.pg_policy p" \
" WHERE p.polcmd" EQ "ANY (ARRAY['r', '*']::pg_catalog.\"char\"[])" \
" UNION ALL " \
"SELECT 'pg_catalog.pg_constraint'" CLASS OID ", n.oid, 't', n.contypid" \
" FROM pg_catalog.pg_constraint n WHERE n.contypid" NE "0" OID \
" UNION ALL " \
"SELECT 'pg_catalog.pg_proc'" CLASS OID ", p.oid, 'f', p.oid FROM pg_catalog.pg_proc p" \
" WHERE p.oid" GE USER_OID \
") o ON o.classid" EQ "d.classid AND o.objid" EQ "d.objid" \
" WHERE d.deptype" EQ "'n' AND d.refclassid" EQ "ANY (ARRAY['pg_catalog.pg_proc'" CLASS "," \
" 'pg_catalog.pg_class'" CLASS ", 'pg_catalog.pg_type'" CLASS "]" OID "[])" \
" UNION " \
"SELECT 'f', a.aggfnoid" OID ", 'f', f.oid FROM pg_catalog.pg_aggregate a" \
" CROSS JOIN LATERAL (VALUES (a.aggtransfn" OID ")," \
"  (a.aggfinalfn" OID "), (a.aggcombinefn" OID ")," \
"  (a.aggserialfn" OID "), (a.aggdeserialfn" OID "), (a.aggmtransfn" OID ")," \
"  (a.aggminvtransfn" OID "), (a.aggmfinalfn" OID ")) f(oid)" \
" WHERE a.aggfnoid" OID GE USER_OID " AND f.oid" NE "0" OID \
" UNION " \
/* types: base, element, columns, subtype, and the functions that belong to them */ \
"SELECT 't', t.oid, r.refcls, r.oid FROM pg_catalog.pg_type t" \
" CROSS JOIN LATERAL (VALUES ('t'" TEXT ", t.typbasetype), ('t', t.typelem)," \
"  ('f', t.typinput" OID "), ('f', t.typoutput" OID "), ('f', t.typreceive" OID ")," \
"  ('f', t.typsend" OID ")) r(refcls, oid)" \
" WHERE t.oid" GE USER_OID " AND r.oid" NE "0" OID \
" UNION " \
"SELECT 't', c.reltype, 't', a.atttypid FROM pg_catalog.pg_attribute a" \
" JOIN pg_catalog.pg_class c ON c.oid" EQ "a.attrelid" \
" WHERE a.attnum" GE "1 AND a.atttypid" GE USER_OID " AND c.reltype" NE "0" OID \
" UNION " \
"SELECT 'r', a.attrelid, 't', a.atttypid FROM pg_catalog.pg_attribute a" \
" WHERE a.attnum" GE "1 AND a.atttypid" GE USER_OID \
" UNION " \
"SELECT 't', r.rngtypid, v.refcls, v.oid FROM pg_catalog.pg_range r" \
" CROSS JOIN LATERAL (VALUES ('t'" TEXT ", r.rngsubtype), ('f', r.rngcanonical" OID ")," \
"  ('f', r.rngsubdiff" OID ")) v(refcls, oid)" \
" WHERE r.rngtypid" GE USER_OID " AND v.oid" NE "0" OID \
" UNION " \
"SELECT 't', v.oid, 'f', k.castfunc FROM pg_catalog.pg_cast k" \
" CROSS JOIN LATERAL (VALUES (k.castsource), (k.casttarget)) v(oid)" \
" WHERE k.castfunc" NE "0" OID " AND v.oid" GE USER_OID \
" UNION " \
"SELECT 't', o.opcintype, 'f', m.amproc" OID " FROM pg_catalog.pg_opclass o" \
" JOIN pg_catalog.pg_amproc m ON m.amprocfamily" EQ "o.opcfamily" \
" WHERE o.opcintype" GE USER_OID \
" UNION " \
"SELECT 't', o.opcintype, 'f', q.oprcode" OID " FROM pg_catalog.pg_opclass o" \
" JOIN pg_catalog.pg_amop m ON m.amopfamily" EQ "o.opcfamily" \
" JOIN pg_catalog.pg_operator q ON q.oid" EQ "m.amopopr" \
" WHERE o.opcintype" GE USER_OID \
" UNION " \
"SELECT 'r', i.inhparent, 'r', i.inhrelid FROM pg_catalog.pg_inherits i)," \
" bad(cls, oid) AS (" \
/* volatile, but for the harmless built-in ones; listed */ \
"SELECT 'f'" TEXT ", p.oid FROM pg_catalog.pg_proc p" \
" WHERE CASE WHEN " IS_BUILTIN_FUNCTION \
"  THEN (p.provolatile" EQ "'v' AND NOT p.proname" TEXT EQ "ANY (" ARRAY_OF(BUILTIN_HARMLESS) "))" \
"   OR (p.proname" TEXT LIKE "'pg\\_%\\_size' AND p.provolatile" EQ "'v' AND EXISTS" \
"    (SELECT FROM pg_catalog.pg_class u WHERE u.relpersistence" EQ "'u'))" \
"   OR p.proname" TEXT EQ "ANY (" ARRAY_OF(BUILTIN_FUNCTIONS) ")" \
"   OR p.proname" TEXT LIKE "'pg\\_stat\\_%'" \
"  ELSE p.provolatile" EQ "'v' OR p.proname" TEXT LIKE "'pg\\_stat\\_%' END" \
" UNION " \
"SELECT 'r', c.oid FROM pg_catalog.pg_class c" \
" WHERE c.relkind" EQ "ANY (ARRAY['S', 'f']::pg_catalog.\"char\"[])" \
"  OR (c.relpersistence" EQ "'u'" \
"   AND c.relkind" EQ "ANY (ARRAY['r', 'p', 'm']::pg_catalog.\"char\"[]))" \
"  OR (c.relkind" EQ "ANY (ARRAY['r', 'v']::pg_catalog.\"char\"[])" \
"   AND (c.relname" TEXT LIKE "'pg\\_stat\\_%' OR c.relname" TEXT LIKE "'pg\\_statio\\_%'))" \
" UNION " \
"SELECT t.cls, t.oid FROM tree t WHERE t.expr" MATCH "'ROWMARKCLAUSE'" \
"  OR (t.expr" MATCH "':funcid (2077|3294) ' AND " TREE_ASKS_SERVER("t.expr") ")" \
" UNION " \
"SELECT 'f', b.oid FROM body b WHERE " BODY_ASKS_SERVER("b.prosrc") \
" UNION " \
"SELECT e.cls, e.oid FROM bad b JOIN edge e ON e.refcls" EQ "b.cls AND e.ref" EQ "b.oid)," \
" advances(oid) AS (" \
"SELECT g.tgrelid FROM pg_catalog.pg_trigger g WHERE NOT g.tgisinternal AND g.tgenabled" NE "'D'" \
" UNION " \
"SELECT r.ev_class FROM pg_catalog.pg_rewrite r WHERE r.ev_type" NE "'1'" \
" UNION " \
"SELECT e.oid FROM advances a JOIN (" \
"SELECT i.inhparent AS oid, i.inhrelid AS ref FROM pg_catalog.pg_inherits i" \
" UNION ALL " \
"SELECT n.confrelid, n.conrelid FROM pg_catalog.pg_constraint n" \
" WHERE n.contype" EQ "'f'" \
"  AND (n.confdeltype" EQ "ANY (ARRAY['c', 'n', 'd']::pg_catalog.\"char\"[])" \
"  OR n.confupdtype" EQ "ANY (ARRAY['c', 'n', 'd']::pg_catalog.\"char\"[]))" \
" UNION ALL " \
"SELECT n.oid, n.ref FROM named n WHERE n.cls" EQ "'r' AND n.refcls" EQ "'r'" \
") e ON e.ref" EQ "a.oid)," \
CATALOG_SETS_CTES " " \
/* the names */ \
"SELECT 'encoding'" TEXT " AS kind, pg_catalog.pg_encoding_to_char(d.encoding)" TEXT " AS name" \
" FROM pg_catalog.pg_database d WHERE d.datname" EQ "pg_catalog.current_database()" \
" UNION " \
"SELECT CASE WHEN " IS_BUILTIN_FUNCTION " THEN 'builtin' ELSE 'function' END, p.proname" TEXT \
" FROM bad b JOIN pg_catalog.pg_proc p ON p.oid" EQ "b.oid" \
" WHERE b.cls" EQ "'f' AND p.prokind" NE "'p' AND NOT p.prorettype" EQ \
"ANY (ARRAY['trigger'::pg_catalog.regtype, 'event_trigger'::pg_catalog.regtype]" OID "[])" \
" UNION " \
/* functions that x.name calls: one argument is enough, and it may be a row */ \
"SELECT 'attribute', p.proname" TEXT " FROM bad b" \
" JOIN pg_catalog.pg_proc p ON p.oid" EQ "b.oid" \
" JOIN pg_catalog.pg_type t ON t.oid" EQ "p.proargtypes[0]" \
" LEFT JOIN pg_catalog.pg_type u ON u.oid" EQ "t.typbasetype" \
" WHERE b.cls" EQ "'f' AND p.oid" GE USER_OID " AND p.prokind" NE "'p' AND p.pronargs" GE "1" \
"  AND p.pronargs" MINUS "p.pronargdefaults" LE "1" \
"  AND (t.typtype" EQ "ANY (ARRAY['c', 'p']::pg_catalog.\"char\"[]) OR u.typtype" EQ "'c'" \
"   OR EXISTS (SELECT FROM pg_catalog.pg_cast k" \
"    JOIN pg_catalog.pg_type s ON s.oid" EQ "k.castsource" \
"    WHERE k.casttarget" EQ "t.oid AND k.castcontext" EQ "'i' AND s.typtype" EQ "'c'))" \
" UNION " \
"SELECT CASE WHEN c.oid" GE USER_OID " AND (c.relkind" EQ "'v' OR EXISTS" \
"  (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid" EQ "c.oid))" \
"  THEN 'view' ELSE 'relation' END, c.relname" TEXT \
" FROM bad b JOIN pg_catalog.pg_class c ON c.oid" EQ "b.oid" \
" WHERE b.cls" EQ "'r' AND c.relkind" EQ \
"  ANY (ARRAY['r', 'p', 'v', 'm', 'f', 'S']::pg_catalog.\"char\"[])" \
" UNION " \
"SELECT 'type', t.typname" TEXT " FROM bad b JOIN pg_catalog.pg_type t ON t.oid" EQ "b.oid" \
" WHERE b.cls" EQ "'t'" \
" UNION " \
/* an operator that syntax uses without naming it taints everything */ \
"SELECT CASE WHEN o.oprname" TEXT EQ "ANY (ARRAY['=', '<>', '<', '<=', '>', '>=', '~~', '~~*'," \
"  '!~~', '!~~*', '~', '!~']" TEXT "[]) THEN 'all' ELSE 'operator' END, o.oprname" TEXT \
" FROM bad b JOIN pg_catalog.pg_operator o ON b.cls" EQ "'f' AND b.oid" EQ "ANY" \
" (ARRAY[o.oprcode" OID ", o.oprrest" OID ", o.oprjoin" OID "])" \
" WHERE o.oid" GE USER_OID \
" UNION " \
/* so does a cast, or an operator class, between types that no text names */ \
"SELECT 'all', 'cast' FROM bad b" \
" JOIN pg_catalog.pg_cast k ON b.cls" EQ "'f' AND b.oid" EQ "k.castfunc" \
" WHERE k.oid" GE USER_OID " AND k.castsource" LE USER_OID " AND k.casttarget" LE USER_OID \
" UNION " \
"SELECT 'all', 'operator class' FROM bad b JOIN (" \
"SELECT m.amprocfamily AS family, m.amproc" OID " AS oid FROM pg_catalog.pg_amproc m" \
" UNION ALL " \
"SELECT m.amopfamily, q.oprcode" OID " FROM pg_catalog.pg_amop m" \
" JOIN pg_catalog.pg_operator q ON q.oid" EQ "m.amopopr" \
") m ON b.cls" EQ "'f' AND b.oid" EQ "m.oid" \
" JOIN pg_catalog.pg_opclass o ON o.opcfamily" EQ "m.family" \
" WHERE o.oid" GE USER_OID " AND o.opcintype" LE USER_OID " AND o.opcdefault" \
" UNION " \
"SELECT 'advances', c.relname" TEXT " FROM advances a" \
" JOIN pg_catalog.pg_class c ON c.oid" EQ "a.oid" \
CATALOG_SETS_NAMES
/* clang-format on */

const char *catalog_sql(int server_version_num)
{
	if (server_version_num < CATALOG_SQL_VERSION_MIN)
		return NULL;
	return server_version_num < 140000 ? QUERY(TREES_13) : QUERY(TREES_14);
}
