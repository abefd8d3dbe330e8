# Integration tests: run by ./quickstart test, with Debian's python3-pytest.
EXTRA_DIST += quickstart .ci/run test/quickstart test/tools test/integration test/long

# A folder in EXTRA_DIST is copied with all that lies in it.
dist-hook:
	find $(distdir)/test $(distdir)/bench -name __pycache__ -prune -exec rm -rf {} +
