"""What each test of commands needs."""

from collections.abc import Iterator

import pytest

from tests.support.commands import logs_kept


@pytest.fixture(autouse=True)
def kept_logs() -> Iterator[None]:
    """Commands send the logs of this process to their own standard error."""
    with logs_kept():
        yield
