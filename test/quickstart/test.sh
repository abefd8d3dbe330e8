# shellcheck shell=bash
# ./quickstart test: sourced by quickstart, whose functions it uses.
#
# Each part runs to its end whatever became of those before it, and adds to two counts; the last
# line tells them. A part that cannot run at all, such as a build that fails, is one failed test.
TEST_PACKAGES=(python3-pytest python3-psycopg2 python3-psycopg python3-asyncpg python3-yaml prometheus
	slapd libpam-wrapper
	pgbouncer prometheus-pgbouncer-exporter check-postgres munin-plugins-core
	mandoc libdbd-pg-perl libpostgresql-jdbc-java default-jdk-headless valgrind strace
	chromium systemd zsh fish golang-go debhelper lintian debootstrap)
FULL_PACKAGES=(clang clang-format libclang-rt-dev patroni etcd-server nftables rpm rpmlint podman crun
	python3-sqlalchemy python3-django ruby ruby-pg ruby-activerecord php-cli php-pgsql
	golang-github-lib-pq-dev golang-github-jackc-pgx-v4-dev)
LANES=$((JOBS < 3 ? JOBS : 3)) # at the same time, as many as ports suffice for
FUZZ_SECONDS=60
# What runs at the same time, the longest first. What needs nodes to fail and to come back sees a
# memory checker in a full run only; there one compiler's sees all tests, the other's the unit tests.
QUICK_PARTS=("test_integration plain" "test_integration asan not_nodes" test_other_engine
	"test_drivers plain --quick" "test_integration tsan threads" test_debian_package test_demo)
FULL_PARTS=(test_long "test_integration tsan" "test_integration clang-asan" test_fuzz
	"test_integration plain" test_settings test_rules test_other_engine test_classifier
	"test_drivers plain" "test_drivers asan" "test_drivers plain --replicas" test_debian_package
	test_systemd_boot test_container_image test_regress test_demo test_ramp test_distribution test_small_build
	"test_unit plain" "test_unit asan" "test_unit tsan" "test_unit clang" "test_unit clang-asan")
RETRY_MAX=8 # so many failures may be the machine's; more are ours
N_PASSED=0
N_FAILED=0
FAILED_PARTS=()

quickstart_test() {
	local full=0
	case "$#:${1:-}" in
	0:) ;;
	1:--full) full=1 ;;
	*) fail "test does not know the arguments: $*" "see ./quickstart --help" ;;
	esac
	install_packages "${TEST_PACKAGES[@]}"
	[ "$full" = 0 ] || install_packages "${FULL_PACKAGES[@]}"
	step "Generating ./configure"
	generate || test_give_up "./autogen.sh failed"
	if [ "$full" = 0 ]; then
		test_quick
	else
		command -v npm >/dev/null || install_packages nodejs npm
		test_full
	fi
	test_summary
}

# Several parts at a time, for most of them wait for servers more than they compute. What counts
# costs, and what only computes, comes first, alone.
test_quick() {
	local variant
	test_builds plain asan tsan
	for variant in plain asan tsan; do
		test_unit "$variant"
	done
	test_costs
	test_in_lanes "$LANES" "${QUICK_PARTS[@]}"
}

test_builds() { # NAME…
	local name
	for name in "$@"; do
		test_build "$name" || test_summary
	done
}

test_build() { # NAME
	local options=(--enable-werror)
	step "Variant $1: building"
	case $1 in
	asan) options+=(--enable-asan CFLAGS="-O1 -g") ;;
	tsan) options+=(--enable-tsan CFLAGS="-O1 -g") ;;
	clang) options+=(CC=clang) ;;
	clang-asan) options+=(--enable-asan CC=clang CFLAGS="-O1 -g") ;;
	esac
	build "$1" "${options[@]}" && return
	test_count "$1: build" 0 1
	return 1
}

test_unit() {
	local dir=$BUILD/$1 passed failed
	step "Variant $1: make check"
	find "$dir" -name '*.trs' -delete
	(cd "$dir" && quietly check.log make -k -j"$JOBS" check) || test_show_unit_failures "$dir"
	passed=$(find "$dir" -name '*.trs' -exec cat {} + | grep -c '^:test-result: PASS')
	failed=$(find "$dir" -name '*.trs' -exec cat {} + | grep -cE '^:test-result: (FAIL|XPASS|ERROR)')
	# a program that could not be built leaves no result
	if [ "$failed" = 0 ] && ! grep -q '^# TOTAL:' "$dir/check.log"; then failed=1; fi
	test_count "$1: make check" "$passed" "$failed"
}

test_show_unit_failures() {
	local result
	while IFS= read -r result; do
		printf '%s\n' "--- ${result%.trs}.log" >&2
		tail -n 40 "${result%.trs}.log" >&2
	done < <(grep -lrE --include='*.trs' '^:test-result: (FAIL|XPASS|ERROR)' "$1")
}

# Workers are served by io_uring where the system offers it; epoll is the engine elsewhere.
test_other_engine() {
	local why
	if why=$("$PYTHON" test/tools/uring.py 2>&1); then
		test_integration plain engines epoll
	else
		step "NOT TESTED: io_uring, for $why. All of the above ran on epoll."
	fi
}

# What a transaction and an idle client cost, as far as it can be counted.
test_costs() {
	step "Instructions, allocations, system calls, hand-overs; memory of an idle client"
	test_counted instructions plain bench/roundtrip.py --check "$BUILD/plain/src/pgweir"
	test_counted verdicts plain bench/classify.py
	test_counted "verdict and choice" plain bench/choice.py --check "$BUILD/plain/src/pgweir"
	test_counted "system calls" plain bench/syscalls.py "$BUILD/plain/src/pgweir"
	test_counted hand-overs plain bench/workers.py "$BUILD/plain/src/pgweir"
	test_counted memory plain bench/memory.py "$BUILD/plain/src/pgweir"
}

test_integration() { # VARIANT [MARK [ENGINE]]
	local name=$1${3:+-$3} mark=${2:-} dir=$BUILD/$1 xml again
	local -x PGWEIR_IO_ENGINE=${3:-auto}
	mark=${mark//_/ }
	xml=$BUILD/pytest-$name.xml
	step "Variant $name: tests against a primary with two replicas${mark:+, those marked $mark}"
	test_pytest "$dir" "$xml" ${mark:+-m "$mark"} test/integration
	mapfile -t again < <(test_failed_ids "$xml")
	if [ ${#again[@]} -gt 0 ] && [ ${#again[@]} -le "$RETRY_MAX" ]; then
		note "once more, for they may have failed for want of CPU: ${again[*]}"
		cp "$xml" "$xml.first"
		test_pytest "$dir" "$xml.again" "${again[@]}"
		# shellcheck disable=SC2046
		test_count "$name: integration" $(test_read_junit "$xml.first" "$xml.again")
		return
	fi
	# shellcheck disable=SC2046
	test_count "$name: integration" $(test_read_junit "$xml")
}

test_pytest() { # DIR XML ARGUMENT…
	local dir=$1 xml=$2
	shift 2
	rm -f "$xml"
	PGWEIR_BIN=$dir/src/pgweir PYTHONDONTWRITEBYTECODE=1 "$PYTHON" -m pytest -p no:cacheprovider \
		-q -rs --junitxml="$xml" "$@" </dev/null
}

# The node ids of the tests of a JUnit file that failed.
test_failed_ids() {
	"$PYTHON" - "$1" <<'END'
import sys
import xml.etree.ElementTree as tree
try:
    cases = tree.parse(sys.argv[1]).getroot().iter("testcase")
except (OSError, tree.ParseError):
    sys.exit()
for case in cases:
    if case.find("failure") is not None or case.find("error") is not None:
        module = case.get("classname").rsplit(".", 1)[-1]
        print(f"test/integration/{module}.py::" + case.get("name"))
END
}

# Passed and failed counts of a JUnit file, and of the second run of what failed there; a missing
# file is one failure.
test_read_junit() {
	"$PYTHON" - "$@" <<'END'
import sys
import xml.etree.ElementTree as tree
def totals(path):
    suites = list(tree.parse(path).getroot().iter("testsuite"))
    def total(key):
        return sum(int(suite.get(key)) for suite in suites)
    bad = total("failures") + total("errors")
    return max(0, total("tests") - bad - total("skipped")), bad
try:
    passed, bad = totals(sys.argv[1])
    for path in sys.argv[2:]:
        healed, bad = totals(path)
        passed += healed
    print(passed, bad)
except (OSError, tree.ParseError):
    print(0, 1)
END
}

test_count() { # PART PASSED FAILED
	note "$1: $2 passed, $3 failed"
	N_PASSED=$((N_PASSED + $2))
	N_FAILED=$((N_FAILED + $3))
	[ "$3" = 0 ] || FAILED_PARTS+=("$1")
}

# test_part NAME COMMAND…: a part that counts as one test.
test_part() {
	local name=$1
	shift
	note "$name"
	quietly "$BUILD/${name//[^a-z0-9]/-}.log" "$@"
	case $? in
	0) test_count "$name" 1 0 ;;
	77) step "NOT TESTED: $name, for this machine cannot. Its log tells why" ;;
	*) test_count "$name" 0 1 ;;
	esac
}

# test_counted NAME VARIANT COMMAND…: a program of tests whose last line counts them; what it leaves
# out is shown whatever comes of it.
test_counted() {
	local name=$1 variant=$2 log counts
	shift 2
	log=$BUILD/${name//[^a-z0-9]/-}.log
	PGWEIR_BIN=$BUILD/$variant/src/pgweir PYTHONDONTWRITEBYTECODE=1 "$@" >"$log" 2>&1 </dev/null
	grep '^SKIPPED' "$log"
	counts=$(sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' "$log")
	if [ "${counts#* }" != 0 ]; then
		printf '%s\n' "--- the end of $log" >&2
		tail -n 60 "$log" >&2
	fi
	# shellcheck disable=SC2086
	test_count "$name" ${counts:-0 1}
}

# --- what does not fit CI's hour --------------------------------------------------------------

test_full() {
	test_builds plain asan tsan clang clang-asan
	test_costs
	test_in_lanes "$((LANES + 1))" "${FULL_PARTS[@]}"
}

test_in_lanes() { # HOW-MANY PART…: each lane takes the next part when it has done one
	local n=$1 lane counts
	shift
	rm -rf "$BUILD"/part-*
	for ((lane = 0; lane < n; lane++)); do
		test_lane "$lane" "$n" "$@" &
	done
	wait
	for counts in "$BUILD"/part-*.counts; do
		# shellcheck disable=SC1090
		. "$counts"
	done
	[ "$(find "$BUILD" -maxdepth 1 -name 'part-*.counts' | wc -l)" = $# ] ||
		test_count "a part has no end" 0 1
}

# Each lane has ports of its own, below those that the system gives to clients.
test_lane() { # NUMBER HOW-MANY PART…
	local range=${PGWEIR_TEST_PORTS:-2000-31999} low width i=0 part
	low=${range%-*}
	width=$(((${range#*-} - low + 1) / $2))
	low=$((low + $1 * width))
	export PGWEIR_TEST_PORTS=$low-$((low + width - 1))
	shift 2
	for part in "$@"; do
		i=$((i + 1))
		mkdir "$BUILD/part-$i.taken" 2>/dev/null || continue
		note "begun: $part"
		(test_alone "$part" "$BUILD/part-$i.counts") >"$BUILD/part-$i.log" 2>&1
		cat "$BUILD/part-$i.log"
	done
}

test_alone() { # PART FILE: what it has counted stays in the file, to be added
	local began=$SECONDS failed=()
	N_PASSED=0 N_FAILED=0 FAILED_PARTS=()
	$1
	note "$1 took $(((SECONDS - began) / 60)) min"
	[ "$N_FAILED" = 0 ] || failed=("${FAILED_PARTS[@]@Q}")
	# shellcheck disable=SC2016
	printf 'N_PASSED=$((N_PASSED + %d)) N_FAILED=$((N_FAILED + %d)) FAILED_PARTS+=(%s)\n' \
		"$N_PASSED" "$N_FAILED" "${failed[*]}" >"$2"
}

test_drivers() { # VARIANT [OPTION]
	local name="drivers $*"
	step "Drivers, each against PostgreSQL and through pgweir ($*)"
	# shellcheck disable=SC2086
	test_counted "$name" "$1" test/drivers/run ${2:-} --work "$BUILD/${name//[^a-z0-9]/-}"
}

# One after another: two of them make the tarball in the same folder.
test_distribution() {
	step "Format, distribution, RPM, instructions where there is more of everything"
	test_part "make check-format" make -C "$BUILD/plain" check-format
	test_part "make distcheck" make -C "$BUILD/plain" distcheck
	test_part "RPM" test/packaging/rpm_package "$BUILD/plain"
	test_counted "flat costs" plain bench/flat.py "$BUILD/plain/src/pgweir"
}

test_debian_package() {
	step "The Debian package"
	test_part "Debian package" test/packaging/debian_package
}

# As a distribution may build it; what it lacks it has to say.
test_small_build() {
	local dir=$BUILD/small xml=$BUILD/pytest-small.xml
	step "A build without PAM, LDAP and io_uring"
	if ! build small --enable-werror --without-pam --without-ldap --without-uring; then
		test_count "small: build" 0 1
		return
	fi
	test_pytest "$dir" "$xml" test/integration/test_{basics,engine,external,hba}.py
	# shellcheck disable=SC2046
	test_count "small: integration" $(test_read_junit "$xml")
}

test_systemd_boot() {
	step "The service under a systemd that has booted"
	test_part "systemd" test/packaging/systemd_boot
}

test_container_image() {
	step "The container image"
	test_part "container image" test/packaging/container_image
}

test_demo() {
	step "What a newcomer sees"
	test_part "demo" env PGWEIR_BIN="$BUILD/plain/src/pgweir" ./quickstart demo --for 10
}

test_ramp() {
	step "The ceiling"
	test_part "demo --ramp" env PGWEIR_BIN="$BUILD/plain/src/pgweir" ./quickstart demo --ramp
}

test_regress() {
	step "PostgreSQL's regression suite"
	test_counted "regression suite" plain test/drivers/regress
}

test_classifier() {
	step "The classifier against a primary and its standby"
	test_counted "classifier suite" plain test/routing/corpus \
		--judge "$BUILD/plain/test/routing/judge"
	test_counted "classifier random" plain test/routing/fuzz_standby \
		--judge "$BUILD/plain/test/routing/judge"
}

# Many random steps of settings, and of transactions that begin on replicas.
test_settings() {
	step "Settings and transactions against private connections"
	test_part "settings random" env PGWEIR_BIN="$BUILD/plain/src/pgweir" \
		PGWEIR_SETTINGS_STEPS=50000 "$PYTHON" -m pytest -q -p no:cacheprovider \
		test/integration/test_settings_random.py
	test_part "protocol random" env PGWEIR_BIN="$BUILD/plain/src/pgweir" \
		PGWEIR_PROTOCOL_STEPS=10000 "$PYTHON" -m pytest -q -p no:cacheprovider \
		test/integration/test_protocol_random.py
	test_part "transactions random" env PGWEIR_BIN="$BUILD/plain/src/pgweir" \
		PGWEIR_TRANSACTIONS_STEPS=50000 "$PYTHON" -m pytest -q -p no:cacheprovider \
		test/integration/test_transaction_reads_random.py
	test_part "READ ONLY random" env PGWEIR_BIN="$BUILD/plain/src/pgweir" \
		PGWEIR_TRANSACTIONS_STEPS=20000 "$PYTHON" -m pytest -q -p no:cacheprovider \
		test/integration/test_read_only_random.py
}

# Daemons that lack one rule each, which the tests have to find out.
test_rules() {
	step "Without each of the rules of settings, transactions and routing"
	test_counted "without a rule" plain test/integration/without_rule
}

test_fuzz() {
	local target n=0
	step "Fuzzing, $FUZZ_SECONDS s each"
	if ! build fuzz --enable-fuzz --enable-asan CC=clang ||
		! (cd "$BUILD/fuzz" && quietly check.log make -j"$JOBS" check TESTS=); then
		test_count "fuzz: build" 0 1
		return
	fi
	for target in "$BUILD"/fuzz/test/fuzz/fuzz_*; do
		[[ -x $target && $target != *.* ]] || continue
		test_fuzz_one "$target" "$(basename "$target")"
		n=$((n + 1))
	done
	[ "$n" -gt 0 ] || test_count "fuzz: no target" 0 1
}

test_fuzz_one() { # PROGRAM NAME: new inputs stay in the build folder
	local corpus=$BUILD/fuzz/corpus-${2#fuzz_}
	mkdir -p "$corpus"
	test_part "$2" "$1" -max_total_time="$FUZZ_SECONDS" -artifact_prefix="$BUILD/$2-" \
		"$corpus" "test/fuzz/corpus/${2#fuzz_}"
}

test_long() {
	local program scale
	step "Long runs: a tenth of their full length, of the soak's 8 hours a fiftieth"
	for program in test/long/*; do
		[[ -x $program && $program != *.py ]] || continue
		scale=0.1
		[ "${program##*/}" != soak ] || scale=0.02
		test_part "long ${program##*/}" \
			env PGWEIR_BIN="$BUILD/plain/src/pgweir" "$program" --scale "$scale"
	done
	test_part "long topology --async" env PGWEIR_BIN="$BUILD/plain/src/pgweir" \
		test/long/topology --async --scale 0.1
}

# --- the end --------------------------------------------------------------------------------

test_give_up() {
	test_count "$1" 0 1
	test_summary
}

test_summary() {
	step "All parts have run, in $((SECONDS / 60)) min $((SECONDS % 60)) s"
	if [ "$N_FAILED" -gt 0 ]; then
		printf '    failed in: %s\n' "${FAILED_PARTS[@]}"
		note "the logs are in $BUILD"
	fi
	printf '%d passed, %d failed\n' "$N_PASSED" "$N_FAILED"
	[ "$N_FAILED" = 0 ] && [ "$N_PASSED" -gt 0 ]
	exit
}
