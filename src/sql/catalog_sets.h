/*
 * catalog_sets - the part of the catalog query (catalog_sql.c) that finds what sets parameters out
 * of sight: functions whose body calls set_config() or has a SET, what calls them, views that read
 * by them, tables with such a trigger. For catalog_sql.c alone, whose macros it uses.
 *   src       bodies of users' functions
 *   sets      an object that may set something; custom: a parameter whose name cannot be told
 * A body is searched by patterns: SET counts where a statement, or a string, begins. What it sets
 * by name is told as kind "custom_name"; EXECUTE of what is put together counts as ordinary
 * parameters.
 */
#ifndef PGWEIR_SQL_CATALOG_SETS_H
#define PGWEIR_SQL_CATALOG_SETS_H

/* clang-format off */
#define SET_STARTS "(^|;|''|\\$|\\*/|>>|\\mbegin\\M|\\mthen\\M|\\melse\\M|\\mloop\\M|--[^\\n]*\\n)\\s*"
#define BODY_SETS \
	"'\\mset_config\\M|" SET_STARTS "(set|reset|discard)\\s|" \
	"\\mexecute\\s+(?!''|format\\s*\\(\\s*''|function\\M|procedure\\M|on\\M)'"
#define BODY_SETS_NAMED "'\\mset_config\\s*\\(\\s*''([^'']*)''\\s*,'"
#define BODY_SET_CUSTOM \
	"'\\m(?:set|reset)\\s+(?:(?:local|session)\\s+)?([a-z_][a-z0-9_$]*\\.[a-z_][a-z0-9_$.]*)'"

#define CATALOG_SETS_CTES \
" src AS MATERIALIZED (" \
"SELECT p.oid, l.lanname" TEXT " AS lang, p.prosrc, p.provolatile FROM pg_catalog.pg_proc p" \
" JOIN pg_catalog.pg_language l ON l.oid" EQ "p.prolang" \
" WHERE p.oid" GE USER_OID " AND l.lanname" NE "'internal')," \
" setter AS MATERIALIZED (" \
"SELECT s.oid, s.prosrc, CASE WHEN s.lang" EQ "ANY (ARRAY['sql', 'plpgsql']" TEXT "[])" \
"  THEN (SELECT pg_catalog.count(*) FROM pg_catalog.regexp_matches(s.prosrc, '\\mset_config\\M', 'gi'))" \
NE "(SELECT pg_catalog.count(*) FROM pg_catalog.regexp_matches(s.prosrc, " BODY_SETS_NAMED ", 'gi'))" \
"  ELSE true END AS custom" \
" FROM src s WHERE CASE WHEN s.lang" EQ "ANY (ARRAY['sql', 'plpgsql']" TEXT "[])" \
"  THEN s.prosrc OPERATOR(pg_catalog.~*) " BODY_SETS \
"  WHEN s.lang" EQ "'c' THEN s.provolatile" EQ "'v' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d" \
"   WHERE d.classid" EQ "'pg_catalog.pg_proc'" CLASS " AND d.objid" EQ "s.oid AND d.deptype" EQ "'e')" \
"  ELSE s.prosrc OPERATOR(pg_catalog.~*) '\\mset' END)," \
" sets(cls, oid, custom) AS (" \
"SELECT 'f'" TEXT ", s.oid, s.custom FROM setter s" \
" UNION " \
"SELECT t.cls, t.oid, true FROM tree t WHERE t.expr" MATCH "':funcid 2078 '" \
" UNION " \
/* one recursive term: who names a function in a body, what reaches it, tables with such triggers */ \
"SELECT n.cls, n.oid, x.custom FROM sets x CROSS JOIN LATERAL (" \
"SELECT 'f'" TEXT " AS cls, s.oid FROM src s JOIN pg_catalog.pg_proc p ON p.oid" EQ "x.oid" \
" WHERE x.cls" EQ "'f' AND p.prorettype" NE "'trigger'::pg_catalog.regtype" \
"  AND pg_catalog.strpos(pg_catalog.lower(s.prosrc), pg_catalog.lower(p.proname" TEXT "))" NE "0" \
" UNION ALL " \
"SELECT e.cls, e.oid FROM edge e WHERE e.refcls" EQ "x.cls AND e.ref" EQ "x.oid" \
" UNION ALL " \
"SELECT 'r', g.tgrelid FROM pg_catalog.pg_trigger g WHERE x.cls" EQ "'f' AND g.tgfoid" EQ "x.oid" \
"  AND g.tgenabled" NE "'D'" \
") n)"

#define CATALOG_SETS_NAMES \
" UNION " \
"SELECT CASE WHEN x.custom THEN 'sets_custom' ELSE 'sets' END, p.proname" TEXT " FROM sets x" \
" JOIN pg_catalog.pg_proc p ON x.cls" EQ "'f' AND p.oid" EQ "x.oid" \
" WHERE p.prorettype" NE "'trigger'::pg_catalog.regtype" \
" UNION " \
"SELECT CASE WHEN x.custom THEN 'relation_sets_custom' ELSE 'relation_sets' END, c.relname" TEXT \
" FROM sets x JOIN pg_catalog.pg_class c ON x.cls" EQ "'r' AND c.oid" EQ "x.oid" \
" UNION " \
"SELECT 'custom_name', pg_catalog.lower(m.m[1]) FROM setter s" \
" CROSS JOIN LATERAL (SELECT * FROM pg_catalog.regexp_matches(s.prosrc, " BODY_SETS_NAMED ", 'gi')" \
"  UNION ALL SELECT * FROM pg_catalog.regexp_matches(s.prosrc, " BODY_SET_CUSTOM ", 'gi')) m(m)" \
" WHERE m.m[1]" LIKE "'%.%'"
/* clang-format on */

#endif
