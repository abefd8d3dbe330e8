"""What the long runs share: the harness of the integration tests, and their command line."""
import argparse
import contextlib
import os
import sys

TEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TEST, f"{TEST}/integration"]

import conftest  # noqa: E402  pylint: disable=wrong-import-position


def parse_args(doc):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--scale", type=float, default=1.0,
                        help="1: the whole of it; 0.1: a tenth")
    return parser.parse_args()


@contextlib.contextmanager
def site(standbys=2):
    """A cluster and what daemons need, as the integration tests have it."""
    conftest.pytest_configure(NoMarkers())
    made = conftest.temporary_site(standbys)
    try:
        yield next(made)
    finally:
        made.close()


class NoMarkers:
    """Stands in for pytest's configuration, which has no say here."""

    def addinivalue_line(self, *_):
        pass
