# Integration tests: run by ./quickstart test, with Debian's python3-pytest.
EXTRA_DIST += quickstart .ci/run test/quickstart test/tools test/integration test/drivers test/long test/packaging

# The clients of the long runs, which compile it themselves; here for its warnings.
EXTRA_PROGRAMS += test/tools/crowd
test_tools_crowd_SOURCES = test/tools/crowd.c
test_tools_crowd_CFLAGS = $(AM_CFLAGS) -Wno-sign-conversion -Wno-conversion -Wno-format-nonliteral
CLEANFILES += test/tools/crowd

# A folder in EXTRA_DIST is copied with all that lies in it.
dist-hook:
	find $(distdir)/test $(distdir)/bench -name __pycache__ -prune -exec rm -rf {} +
