# psql: several at once, each fed by a pipe of its own, their statements taking turns.
set -u
CLIENTS=5
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT

# start N [CONNINFO]: psql number N reads what `say N …` writes.
start() {
	rm -f "$OUT/in$1"
	mkfifo "$OUT/in$1"
	psql -XAtq -v VERBOSITY=sqlstate "${@:2}" <"$OUT/in$1" >"$OUT/out$1" 2>&1 &
	pids[$1]=$!
	eval "exec $((10 + $1))>\"$OUT/in$1\""
}

# say N SQL: send it, and wait until it is answered.
say() {
	n=$((n + 1))
	printf '%s\n\\echo done %d\n' "$2" "$n" >&$((10 + $1))
	until grep -qx "done $n" "$OUT/out$1" 2>/dev/null; do sleep 0.01; done
}

# tell NAME: end all, and print what they have said.
tell() {
	local i
	for i in "${!pids[@]}"; do
		printf '\\q\n' >&$((10 + i)) # another psql may have its pipe open, too
		eval "exec $((10 + i))>&-"
		wait "${pids[$i]}"
	done
	printf '%s:' "$1"
	for i in "${!pids[@]}"; do
		printf ' [%s]' "$(grep -v '^done ' "$OUT/out$i" | tr '\n' ' ')"
	done
	printf '\n'
	pids=()
}

pids=()
n=0

for i in $(seq $CLIENTS); do
	start "$i"
	say "$i" "SET TimeZone = 'Etc/GMT+$i'; SET search_path = d$i, public;"
done
for round in 1 2; do
	for i in $(seq $CLIENTS); do
		say "$i" "BEGIN; SET LOCAL work_mem = '7MB'; SET lock_timeout = 5; ROLLBACK;"
		say "$i" 'SHOW TimeZone; SHOW search_path; SHOW work_mem; SHOW lock_timeout;'
	done
done
tell settings

for i in 1 2; do
	start "$i"
	say "$i" "PREPARE q (int) AS SELECT \$1 * $i;"
done
for round in 1 2 3; do
	say 1 "EXECUTE q($round);"
	say 2 "EXECUTE q($round);"
done
say 1 'DEALLOCATE q;'
say 1 'EXECUTE q(1);'
tell prepared

start 1
start 2
say 1 "SET app.user_id = '7';"
for i in 1 2; do say "$i" "SELECT current_setting('app.user_id', true) IS NULL;"; done
tell custom_setting

start 1
say 1 'SELECT 1/0;'
say 1 'SELEKT 1;'
say 1 'BEGIN;'
say 1 'SELECT no_column;'
say 1 'SELECT 1;'
say 1 'ROLLBACK;'
say 1 '\set ON_ERROR_ROLLBACK on'
say 1 'BEGIN;'
say 1 'SELECT 1/0;'
say 1 'SELECT 6;'
say 1 'COMMIT;'
tell errors

psql -XAtq -v VERBOSITY=sqlstate -c 'SELECT pg_sleep(30)' >"$OUT/cancelled" 2>&1 &
sleeper=$!
sleep 0.7
kill -INT $sleeper
wait $sleeper
printf 'cancel: %s\n' "$(tr '\n' ' ' <"$OUT/cancelled")"

start 1
start 2
say 1 'DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text);'
seq 1 10000 | sed 's/$/\trow/' >"$OUT/rows"
say 1 "\\copy d_copy FROM '$OUT/rows'"
say 2 'SELECT count(*), sum(a) FROM d_copy;'
say 2 "\\copy d_copy TO '$OUT/back'"
say 1 'DROP TABLE d_copy;'
tell copy
printf 'copy_out: %s\n' "$(md5sum <"$OUT/back")"

start 1
start 2
say 1 'LISTEN d_news;'
say 2 "NOTIFY d_news, 'hello';"
say 2 "SELECT pg_notify('d_news', 'again');"
sleep 0.3
say 1 'SELECT 1;'
tell listen_psql | sed 's/from server process with PID [0-9]*//g; s/listen_psql/listen/'

start 1
start 2
say 1 'CREATE TEMP TABLE d_temp AS SELECT 7 AS a;'
say 2 'SELECT a FROM d_temp;'
say 1 'SELECT a FROM d_temp;'
say 1 'DROP TABLE d_temp;'
tell temp_table

start 1
start 2
for i in 1 2; do say "$i" 'SELECT pg_try_advisory_lock(84);'; done
for i in 1 2; do say "$i" 'SELECT pg_advisory_unlock(84);'; done
tell advisory_lock

start 1 -v FETCH_COUNT=100
start 2
say 2 'BEGIN;'
say 2 'DECLARE c CURSOR FOR SELECT generate_series(1, 10);'
say 1 'SELECT generate_series(1, 1000) ORDER BY 1 DESC \g | tail -1'
say 2 'FETCH 2 FROM c;'
say 2 'MOVE 3 IN c;'
say 2 'FETCH 2 FROM c;'
say 2 'COMMIT;'
tell cursor

printf 'big_value: %s\n' "$(psql -XAtq -c "SELECT repeat('0123456789', 1024 * 1024)" | md5sum)"
printf 'wrong_password: %s\n' "$(PGPASSWORD=wrong psql -c 'SELECT 1' 2>&1 | grep -o 'FATAL.*')"
printf 'unknown_database: %s\n' "$(psql -d no_such_database -c 'SELECT 1' 2>&1 | grep -o 'FATAL.*')"
printf 'tls: %s %s\n' \
	"$(PGSSLMODE=verify-full PGSSLROOTCERT=$DRIVER_CA psql -XAtqc '\conninfo' | grep -o 'TLSv1[.0-9]*')" \
	"$(PGSSLMODE=disable psql -XAtqc 'SELECT 2')"

printf 'describe: %s\n' "$(psql -Xq -c '\d pgbench_accounts' -c '\dn' -c '\du app' -c '\l app' | md5sum)"
printf 'options: %s\n' "$(PGOPTIONS='-c work_mem=8MB -c TimeZone=PST8PDT' PGDATESTYLE='Postgres, MDY' \
	psql -XAtq -c 'SHOW work_mem' -c 'SHOW TimeZone' -c 'SHOW DateStyle' | tr '\n' ' ')"
printf 'gdesc: %s\n' "$(printf '%s\n' 'SELECT 1 AS one, now() AS two \gdesc' | psql -XAtq | tr '\n' ' ')"
printf 'dump: %s\n' "$(pg_dump --schema-only | grep -v '^--\|restrict' | md5sum)"
