# Unit tests: one program per module, test/unit/<folder>/check_<module>.c, linked with libpure.
# Each folder under test/unit lists its programs in its own local.mk:
#
#   check_PROGRAMS += test/unit/base/check_wheel
#   test_unit_base_check_wheel_SOURCES = test/unit/base/check_wheel.c
#   test_unit_base_check_wheel_LDADD = $(UNIT_LIBS)
#   test_unit_base_check_wheel_CFLAGS = $(UNIT_CFLAGS)
UNIT_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion -Wno-conversion -Wno-format-nonliteral $(CHECK_CFLAGS) $(OPENSSL_CFLAGS)
UNIT_LIBS = $(PURE_LIBS) $(CHECK_LIBS)

# A test that makes allocations fail has these in its SOURCES and LDFLAGS.
FAILING_ALLOC_FILES = test/unit/failing_alloc.c test/unit/failing_alloc.h
FAILING_ALLOC_LINK = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

include test/unit/base/local.mk
include test/unit/proto/local.mk
include test/unit/sql/local.mk
include test/unit/conf/local.mk
include test/unit/auth/local.mk
include test/unit/state/local.mk
include test/unit/route/local.mk
include test/unit/pool/local.mk
include test/unit/net/local.mk
include test/unit/worker/local.mk
include test/unit/control/local.mk
include test/unit/main/local.mk
include test/fuzz/local.mk
include test/integration/local.mk

# The tree itself.
dist_check_SCRIPTS += test/check-floors test/check-globals test/check-checks
TESTS += $(dist_check_SCRIPTS)

TESTS += $(check_PROGRAMS)
AM_TESTS_ENVIRONMENT = CC='$(CC)' NM='$(NM)'; export CC NM;
LOG_COMPILER = $(SHELL) $(srcdir)/test/run-test
EXTRA_DIST += test/run-test test/valgrind.supp test/unit/unit.h
