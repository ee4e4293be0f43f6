"""The attempted write is rare, and its verdict is shared."""

import pytest
from attrs import define, field
from psycopg import errors

from adapters.postgres.connections.statement import Statement
from adapters.postgres.write_probe import WriteProbe
from domain.errors import Overloaded, StorageUnavailable
from domain.storage.faults import StorageFault

TRY = Statement("try_write", "SELECT 1")


@define
class ManualWrites:
    """Ends each attempt with the next outcome: None, or an error to raise. `now_s` is its clock."""

    outcomes: list[Exception | None]
    now_s: float = 100.0
    attempts: int = field(default=0, init=False)

    async def fetch(self, statement, parameters, *, timeout_s, repeatable):
        assert (statement, repeatable, timeout_s < 1) == (TRY, False, True)
        self.attempts += 1
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome
        return []

    def probe(self):
        return WriteProbe(self, TRY, lambda: self.now_s)


async def statuses(writes, probe, *pauses_s):
    """Return the status after each pause, with the number of attempts so far."""
    found = []
    for pause_s in pauses_s:
        writes.now_s += pause_s
        found.append(((await probe.facts())["status"], writes.attempts))
    return found


def fault(which):
    return StorageUnavailable.of(which, stored="no")


async def test_an_accepted_write_holds_for_five_seconds():
    writes = ManualWrites([None, None])
    found = await statuses(writes, writes.probe(), 0, 1, 3.9, 0.1)
    assert found == [("ok", 1), ("ok", 1), ("ok", 1), ("ok", 2)]


@pytest.mark.parametrize("which", [StorageFault.READ_ONLY, StorageFault.RIGHT_MISSING, StorageFault.DISK_FULL])
async def test_a_refused_write_holds_for_five_seconds_too(which):
    writes = ManualWrites([fault(which), None])
    found = await statuses(writes, writes.probe(), 0, 4.9, 0.1)
    assert found == [("failing", 1), ("failing", 1), ("ok", 2)]


@pytest.mark.parametrize("which", [None, StorageFault.UNREACHABLE, StorageFault.SCHEMA_MISSING])
async def test_an_attempt_without_a_verdict_is_repeated_after_a_second(which):
    writes = ManualWrites([fault(which), None])
    assert await statuses(writes, writes.probe(), 0, 0.9, 0.1) == [("failing", 1), ("failing", 1), ("ok", 2)]


async def test_a_busy_database_keeps_its_verdict():
    writes = ManualWrites([None, Overloaded("the database"), fault(StorageFault.READ_ONLY), Overloaded("x"), None])
    found = await statuses(writes, writes.probe(), 0, 5, 1, 5, 1)
    assert found == [("ok", 1), ("ok", 2), ("failing", 3), ("failing", 4), ("ok", 5)]


async def test_the_reason_is_for_everybody_and_the_servers_words_are_for_the_operator():
    error = fault(StorageFault.RIGHT_MISSING)
    error.__cause__ = errors.InsufficientPrivilege("permission denied\nfor table open_executions")
    facts = await ManualWrites([error]).probe().facts()
    assert facts == {
        "status": "failing",
        "reason": StorageFault.RIGHT_MISSING.message,
        "detail": "permission denied for table open_executions",
    }
