# shellcheck shell=bash
# ./quickstart demo: sourced by quickstart, whose functions it uses.
#
# Starts a primary with two replicas, pgweir in front, and pgbench; shows what goes where. All that
# it starts lies in $DEMO or is one of PGWEIR_PID and LOAD_PIDS; demo_clean removes it on every way
# out.
DEMO=
PGWEIR_PID=
LOAD_PIDS=()
DEMO_READERS=200
DEMO_WRITERS=50
DEMO_POOL=10
DEMO_EVERY=5 # seconds between two looks
DEMO_ERROR='ERROR|FATAL|aborted'

quickstart_demo() {
	local seconds=0
	while [ $# -gt 0 ]; do
		case $1 in
		--for)
			[[ ${2:-} =~ ^[1-9][0-9]*$ ]] || fail "--for needs a number of seconds" \
				"for example: ./quickstart demo --for 60"
			seconds=$2
			shift 2
			;;
		*) fail "demo does not know the argument $1" "see ./quickstart --help" ;;
		esac
	done
	build_for_use
	exec 3>&1 # a signal may come while a function's output is redirected
	trap demo_clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	demo_start_cluster
	demo_start_pgweir
	demo_start_load
	demo_tell_how_to_connect "$seconds"
	demo_watch "$seconds"
	demo_report
}

demo_start_cluster() {
	step "Starting a throw-away primary and two streaming replicas"
	DEMO=$(mktemp -d /tmp/pgweir-demo-XXXXXX) || fail "cannot make a folder under /tmp" \
		"make room there"
	chmod 755 "$DEMO"
	PASSWORD=$(tr -d - </proc/sys/kernel/random/uuid | cut -c1-16)
	quietly "$DEMO/cluster.log" "${CLUSTER[@]}" start "$DEMO/pg" --standbys 2 --scale 10 \
		--user demo --password "$PASSWORD" --db demo ||
		fail "PostgreSQL did not start" "see the lines above; PGBIN names the folder of initdb"
	NODE_PORTS=$(awk 'NF == 2 && $2 ~ /^[0-9]+$/ {printf "%s%s", sep, $2; sep = ","}' \
		"$DEMO/cluster.log")
	note "they listen on 127.0.0.1, ports $NODE_PORTS; pgbench's tables are loaded (scale 10)"
}

demo_free_port() {
	(cd "$TOP/test" && $PYTHON -c 'from tools import proc; print(proc.free_port())')
}

demo_configure() {
	local no_port=("no port is free" "PGWEIR_TEST_PORTS gives another range")
	PORT=$(demo_free_port) || fail "${no_port[@]}"
	STATS_PORT=$(demo_free_port) || fail "${no_port[@]}"
	cat >"$DEMO/pgweir.ini" <<END
[databases]
demo = host=127.0.0.1,127.0.0.1,127.0.0.1 port=$NODE_PORTS dbname=demo

[pgweir]
listen_addr = 127.0.0.1
listen_port = $PORT
unix_socket_dir =
auth_file = $DEMO/users.txt
admin_users = admin
stats_users = demo
pool_mode = transaction
default_pool_size = $DEMO_POOL
monitor_user = monitor
monitor_password = $PASSWORD
stats_addr = 127.0.0.1
stats_port = $STATS_PORT
END
	printf '"demo" "%s"\n"admin" "%s"\n' "$PASSWORD" "$PASSWORD" >"$DEMO/users.txt"
	# root's pgweir runs as the servers' user, which may not be able to enter the build folder
	cp "$PGWEIR_BIN" "$DEMO/pgweir"
	: >"$DEMO/pgweir.log"
	chmod 600 "$DEMO/users.txt" "$DEMO/pgweir.ini"
	if [ "$(id -u)" = 0 ]; then
		chown "${PGWEIR_TEST_USER:-postgres}" "$DEMO"/{users.txt,pgweir.ini,pgweir.log}
	fi
}

demo_start_pgweir() {
	step "Starting pgweir in front of them"
	demo_configure
	note "its configuration, $DEMO/pgweir.ini:"
	sed -e '/^$/d' -e '/password/s/= .*/= …/' -e 's/^/        /' "$DEMO/pgweir.ini"
	# shellcheck disable=SC2046 # the names have no blanks
	env $(compgen -A export PGWEIR_ | sed 's/^/-u/') \
		"${AS_SERVICE[@]}" "$DEMO/pgweir" "$DEMO/pgweir.ini" >>"$DEMO/pgweir.log" 2>&1 </dev/null &
	PGWEIR_PID=$!
	for _ in $(seq 150); do
		grep -q 'accepting connections' "$DEMO/pgweir.log" && break
		kill -0 "$PGWEIR_PID" 2>/dev/null || demo_pgweir_failed "it ended"
		sleep 0.1
	done
	grep -q 'accepting connections' "$DEMO/pgweir.log" || demo_pgweir_failed "15 s have passed"
	demo_psql demo demo -c 'SELECT 1' >/dev/null || demo_pgweir_failed "a first query failed"
	note "it accepts connections on 127.0.0.1:$PORT (pid $PGWEIR_PID)"
}

demo_pgweir_failed() {
	tail -n 20 "$DEMO/pgweir.log" >&2
	fail "pgweir does not work: $1" "its log is above; please report it"
}

# demo_psql USER DATABASE ARGUMENTS…
demo_psql() {
	local user=$1 database=$2
	shift 2
	PGPASSWORD=$PASSWORD PGCONNECT_TIMEOUT=10 psql -X -q -h 127.0.0.1 -p "$PORT" -U "$user" \
		-d "$database" "$@"
}

demo_pgbench() { # LOG ARGUMENTS…
	local log=$1
	shift
	PGPASSWORD=$PASSWORD "$(demo_pgbench_path)" -n -h 127.0.0.1 -p "$PORT" -U demo -T 86400 \
		-P "$DEMO_EVERY" "$@" demo >"$log" 2>&1 </dev/null &
	LOAD_PIDS+=("$!")
}

demo_pgbench_path() {
	command -v pgbench || echo "$(pg_config --bindir)/pgbench"
}

demo_start_load() {
	step "Starting pgbench: $DEMO_READERS clients that read, $DEMO_WRITERS that write"
	demo_pgbench "$DEMO/readers.log" -S -c "$DEMO_READERS" -j 2 -M prepared
	demo_pgbench "$DEMO/writers.log" -b tpcb-like -c "$DEMO_WRITERS" -j 1
	note "pgweir opens at most $DEMO_POOL server connections per node for them"
	for _ in $(seq 600); do
		grep -q progress "$DEMO/readers.log" && grep -q progress "$DEMO/writers.log" && return
		demo_check_load
		sleep 0.1
	done
	demo_pgweir_failed "the clients did not get to work within a minute"
}

demo_tell_how_to_connect() {
	step "You can connect meanwhile, from another terminal"
	note "as an application:  PGPASSWORD=$PASSWORD psql -h 127.0.0.1 -p $PORT -U demo demo"
	note "to the console:     PGPASSWORD=$PASSWORD psql -h 127.0.0.1 -p $PORT -U admin pgweir"
	note "                    (try SHOW HELP, SHOW CLIENTS, SHOW STATS)"
	note "to the numbers:     curl http://127.0.0.1:$STATS_PORT/metrics"
	note "kill a replica:     ${CLUSTER[*]} node $DEMO/pg standby1 kill   (… start brings it back)"
	if [ "$1" -gt 0 ]; then
		note "this goes on for $1 seconds; Ctrl-C ends it and removes everything"
	else
		note "Ctrl-C ends the demo and removes everything"
	fi
}

# demo_table TABLE COLUMNS…: a SHOW table, cut to some of its columns.
demo_table() {
	local table=$1
	shift
	printf 'SHOW %s\n' "$table"
	demo_psql admin pgweir -A -F '|' -P footer=off -c "SHOW $table" >"$DEMO/table" ||
		demo_pgweir_failed "the console did not answer"
	awk -F '|' -v wanted="$*" '
		NR == 1 {
			for (i = 1; i <= NF; i++) place[$i] = i
			n = split(wanted, names, " ")
		}
		{
			for (i = 1; i <= n; i++) printf "  %-15s", $place[names[i]]
			print ""
		}' "$DEMO/table"
}

# One look at what goes where.
demo_look() {
	local url=http://127.0.0.1:$STATS_PORT/metrics
	printf '\n--- after %s s\n' "$1"
	demo_table NODES node role health lag_bytes lag_ms servers outstanding latency_us
	demo_table POOLS database user cl_active cl_waiting sv_active sv_idle maxwait
	demo_table ROUTES database verdict node reason units
	printf 'pgbench, readers, then writers\n'
	tail -qn 1 "$DEMO/readers.log" "$DEMO/writers.log" | sed 's/^/  /'
	printf 'curl %s (the units so far)\n' "$url"
	curl -sS --max-time 5 "$url" >"$DEMO/metrics" ||
		demo_pgweir_failed "the stats URL did not answer"
	grep -E '^pgweir_[a-z_]*unit[a-z_]*_total' "$DEMO/metrics" | head -n 8 | sed 's/^/  /'
}

# Both loads have to be running: an error would end one of them.
demo_check_load() {
	local pid
	kill -0 "$PGWEIR_PID" 2>/dev/null || demo_pgweir_failed "it ended"
	for pid in "${LOAD_PIDS[@]}"; do
		kill -0 "$pid" 2>/dev/null && continue
		tail -n 5 "$DEMO/readers.log" "$DEMO/writers.log" "$DEMO/pgweir.log" >&2
		fail "pgbench ended, which it should not" "its errors are above; please report them"
	done
}

demo_watch() {
	local seconds=$1 start=$SECONDS passed
	step "What goes where, every $DEMO_EVERY seconds"
	while :; do
		passed=$((SECONDS - start))
		[ "$seconds" -eq 0 ] || [ "$passed" -lt "$seconds" ] || break
		# sleep in the background: a trap runs at once during wait
		sleep "$((seconds > 0 && seconds - passed < DEMO_EVERY ? seconds - passed : DEMO_EVERY))" &
		wait $!
		demo_check_load
		demo_look "$((SECONDS - start))"
	done
}

demo_report() {
	step "The load had $(demo_errors) errors"
	grep -hE "$DEMO_ERROR" "$DEMO/readers.log" "$DEMO/writers.log" | head -n 5
	[ "$(demo_errors)" = 0 ]
}

demo_errors() { cat "$DEMO"/{readers,writers}.log | grep -cE "$DEMO_ERROR"; }

demo_clean() {
	local pid status=$?
	trap - EXIT
	trap '' INT TERM
	exec 1>&3
	[ -n "$DEMO" ] || exit "$status"
	step "Removing all that was started"
	for pid in ${LOAD_PIDS[@]+"${LOAD_PIDS[@]}"} ${PGWEIR_PID:+"$PGWEIR_PID"}; do
		kill -TERM "$pid" 2>/dev/null
		demo_wait_gone "$pid" || kill -KILL "$pid" 2>/dev/null
	done
	[ ! -e "$DEMO/pg/cluster.json" ] || "${CLUSTER[@]}" destroy "$DEMO/pg"
	rm -rf "$DEMO"
	note "done"
	exit "$status"
}

demo_wait_gone() {
	for _ in $(seq 50); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}
