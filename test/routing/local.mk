# The classifier against statements whose place is known from a real primary and standby.
EXTRA_DIST += \
	test/routing/README.md \
	test/routing/catalog.tsv \
	test/routing/corpus \
	test/routing/examples.jsonl \
	test/routing/extra.sql \
	test/routing/fuzz_standby \
	test/routing/generate.py \
	test/routing/make_catalog.sh \
	test/routing/pair.py \
	test/routing/psqlscript.py \
	test/routing/sample.sql \
	test/routing/schema.sql \
	test/routing/scripts.jsonl \
	test/routing/search_path.sh \
	test/routing/statements.jsonl \
	test/routing/verify.py

ROUTING_FILES = test/routing/jsonl.c test/routing/jsonl.h test/routing/load.c test/routing/load.h

check_PROGRAMS += test/routing/check_routing
test_routing_check_routing_SOURCES = test/routing/check_routing.c $(ROUTING_FILES)
test_routing_check_routing_LDADD = $(UNIT_LIBS)
test_routing_check_routing_CFLAGS = $(UNIT_CFLAGS) -DROUTING_DIR='"$(abs_srcdir)/test/routing"'

# For people, and for verify.py, which the integration tests run.
noinst_PROGRAMS += test/routing/judge
test_routing_judge_SOURCES = test/routing/judge.c $(ROUTING_FILES)
test_routing_judge_LDADD = $(PURE_LIBS)
test_routing_judge_CFLAGS = $(UNIT_CFLAGS)
