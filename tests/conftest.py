"""What all suites do once."""

import gc

gc.disable()  # until all tests are collected: they are kept, and to examine them again and again finds nothing


def pytest_collection_finish() -> None:
    """Exclude the modules and the tests from garbage collection: to examine them takes a quarter of a short run."""
    gc.freeze()
    gc.enable()
