# shellcheck shell=bash
# ./quickstart bench: sourced by quickstart, whose functions it uses. Arguments go to bench/run.py.
BENCH_PACKAGES=(pgbouncer valgrind strace)

quickstart_bench() {
	local status
	install_packages "${BENCH_PACKAGES[@]}"
	build_for_use
	step "Comparing pgweir, PgBouncer, bare relays and no proxy"
	[ -n "${PGBOUNCER_SRC:-}" ] || note "PGBOUNCER_SRC=DIR adds PgBouncer 1.25, built from source"
	PGWEIR_BIN=$PGWEIR_BIN "$PYTHON" "$TOP/bench/run.py" "$@" </dev/null
	status=$?
	[ "$status" = 0 ] || fail "a run failed" "see the lines above"
}
