"""What all suites do once."""

import gc


def pytest_collection_finish() -> None:
    """Exclude the modules and the tests from garbage collection: to examine them takes a quarter of a short run."""
    gc.freeze()
