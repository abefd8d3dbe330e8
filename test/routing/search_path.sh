#!/bin/sh
# The catalog query must call nothing that a user made, whatever the search_path is.
#
#     search_path.sh JUDGE DSN
#
# DSN is a superuser's. A schema of decoys is put before pg_catalog: operators, functions and
# relations with the names that the query uses, all of which raise an error. Exit status 0: none
# was called.
set -eu
judge=$1
dsn=$2
sql() {
	psql -Xq -v ON_ERROR_STOP=1 -d "$dsn" "$@"
}
drop='SET client_min_messages = warning; DROP SCHEMA IF EXISTS decoys CASCADE'
decoys() {
	echo "$drop; CREATE SCHEMA decoys; SET search_path = decoys, pg_catalog;"
	body="LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a decoy was called''; END'"
	for t in text name oid int4 int8 '"char"' regclass regproc; do
		f=eq_$(echo "$t" | tr -d '"')
		echo "CREATE FUNCTION $f($t, $t) RETURNS bool $body;"
		for o in = '<>' '>=' '<=' '<' '>' '~' '~~' '-' '||'; do
			echo "CREATE OPERATOR $o (LEFTARG = $t, RIGHTARG = $t, FUNCTION = $f);"
		done
	done
	for f in lower btrim chr count current_database pg_encoding_to_char; do
		echo "CREATE FUNCTION $f(text) RETURNS text $body;"
	done
	for r in pg_proc pg_class pg_type pg_settings pg_depend pg_rewrite; do
		echo "CREATE VIEW $r AS SELECT 1 AS decoy;"
	done
}
trap 'sql -c "$drop"' EXIT
decoys | sql -f - >/dev/null
version=$(psql -XAtq -d "$dsn" -c 'SHOW server_version_num')
{
	echo 'SET search_path = decoys, pg_catalog;'
	"$judge" --catalog-sql "$version"
} | sql -At -f - | grep -c . >/dev/null
