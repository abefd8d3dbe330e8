# pgbench, in its three protocol modes: as many transactions as wanted, and sums that agree.
set -u
CLIENTS=5

value() { psql -XAtqc "$1"; }

# run NAME ARGUMENTS…: tells what pgbench did, without what is measured.
run() {
	local name=$1 before
	shift
	before=$(value 'SELECT count(*) FROM pgbench_history')
	printf '%s: %s' "$name" "$(pgbench -n -c $CLIENTS -j 2 "$@" 2>&1 |
		grep -E 'actually processed|failed|aborted|ERROR|FATAL' | tr '\n' ' ')"
	printf 'history +%s\n' $(($(value 'SELECT count(*) FROM pgbench_history') - before))
}

for mode in simple extended prepared; do
	run "$mode" -M $mode -t 100
	run "${mode}_reads" -M $mode -S -t 200
	run "${mode}_connect" -M $mode -C -t 10
done
value 'SELECT sum(bbalance) = (SELECT sum(delta) FROM pgbench_history) FROM pgbench_branches' |
	sed 's/^/sums_agree: /'

cat >pipeline.sql <<'SQL'
\startpipeline
SELECT 1;
SELECT 2;
SELECT 3;
\endpipeline
SQL
run pipeline -M extended -f pipeline.sql -t 50
run pipeline_prepared -M prepared -f pipeline.sql -t 50
printf 'wrong_password: %s\n' "$(PGPASSWORD=wrong pgbench -n -t 1 2>&1 | grep -o 'FATAL.*')"
printf 'unknown_database: %s\n' "$(pgbench -n -t 1 no_such_database 2>&1 | grep -o 'FATAL.*')"
PGSSLMODE=verify-full PGSSLROOTCERT=$DRIVER_CA run tls -M prepared -t 20
