"""What monitoring sees of a queue: how much waits, and for how long, also if nothing is claimed."""

from datetime import timedelta

import pytest

from adapters.postgres.retention.backlog import BacklogBounds, BacklogReader
from domain.cleanup import QueueBacklog
from domain.scripts.language import Language, LanguageTitle
from tests.contracts.execution_queue import LONG, QueueOfOne
from tests.contracts.storage import ALICE, BOB
from tests.integration.postgres.conftest import cleanup_on

MINUTE = timedelta(minutes=1)
NOTHING = QueueBacklog(0, None)
PYTHON = {"language_title": LanguageTitle.of("python-adder"), **LONG}
NODEJS = {"language_title": LanguageTitle.of("nodejs-adder"), **LONG}


@pytest.fixture
def process(storage) -> QueueOfOne:
    return QueueOfOne(storage)


def reader(gateway, statements, process, **bounds: int) -> BacklogReader:
    return BacklogReader(gateway, statements.cleanup, process.storage.clock, BacklogBounds(**bounds))


async def test_cleanup_reads_what_waits_in_each_language_and_since_when(gateway, statements, process):
    storage = process.storage
    cleanup = cleanup_on(gateway, statements, storage)
    await cleanup.run_once()
    assert cleanup.stats().backlogs == {Language.PYTHON: NOTHING, Language.NODEJS: NOTHING}
    ours, theirs, other = (
        await storage.add(ALICE, **PYTHON),
        await storage.add(BOB, **PYTHON),
        await storage.add(BOB, **NODEJS),
    )
    await process.add(other, delay=MINUTE)
    await process.add(ours)
    storage.clock.advance(-MINUTE)
    oldest = await process.add(theirs)
    storage.clock.advance(MINUTE)
    await cleanup.run_once()
    assert cleanup.stats().backlogs == {
        Language.PYTHON: QueueBacklog(2, oldest.window.not_before),
        Language.NODEJS: QueueBacklog(1, None),
    }


async def test_an_entry_with_a_head_start_hides_no_older_one(gateway, statements, process):
    session = await process.storage.add(ALICE, **PYTHON)
    oldest = await process.add(session)
    process.storage.clock.advance(MINUTE)
    await process.add(session, priority_s=3600)
    await process.add(session, priority_s=3600, delay=30 * MINUTE)
    found = await reader(gateway, statements, process).read()
    assert found[Language.PYTHON] == QueueBacklog(3, oldest.window.not_before)


async def test_the_bounds_limit_owners_entries_and_what_is_counted(gateway, statements, process):
    ours, theirs = await process.storage.add(ALICE, **PYTHON), await process.storage.add(BOB, **PYTHON)
    oldest = await process.add(theirs)
    process.storage.clock.advance(MINUTE)
    later = await process.add(ours)
    await process.add(ours)

    async def read(**bounds: int) -> QueueBacklog:
        return (await reader(gateway, statements, process, **bounds).read())[Language.PYTHON]

    assert await read(counted_max=2) == QueueBacklog(2, oldest.window.not_before)
    assert await read(owners_max=1) == QueueBacklog(3, later.window.not_before)
    await process.add(ours, priority_s=3600, delay=MINUTE)
    assert await read(owners_max=1, examined_max=1) == QueueBacklog(4, None)
