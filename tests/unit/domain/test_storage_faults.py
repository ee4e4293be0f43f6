"""What callers read about a database that does not serve."""

import pytest

from domain.errors import StorageUnavailable
from domain.storage.faults import StorageFault


@pytest.mark.parametrize("fault", StorageFault)
def test_every_fault_says_what_to_do_and_when_to_repeat_the_call(fault: StorageFault) -> None:
    error = StorageUnavailable.of(fault, stored="no", executed="no")
    assert error.message == fault.message
    assert ("Repeat the call" in error.message) == fault.passes
    assert ("The operator has to" in error.message) != fault.passes
    after_ms = 1000 if fault.passes else 5000
    assert error.details == {"stored": "no", "executed": "no", "retry_after_ms": after_ms, "reason": fault.value}


def test_a_silent_database_has_no_fault() -> None:
    error = StorageUnavailable.of(None)
    assert error.details == {"retry_after_ms": 1000}
    assert error.message == "The database did not respond in time. Repeat the call after a moment."
