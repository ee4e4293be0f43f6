"""Executions whose controller died are in the history as unknown, by outcome and by id, before and after a sweep."""

import pytest

from adapters.postgres.retention.cleanup import Cleanup
from domain.executions.execution import Execution, ExecutionLost
from domain.executions.ports import ExecutionFilter
from domain.idempotency import KeyInterrupted
from domain.scripts.report import ExecutionStatus
from tests.contracts.keyed_call_repository import KEY
from tests.integration.postgres.conftest import cleanup_on, storage_on
from tests.integration.postgres.gateways import SteeredGateway

UNKNOWN = ExecutionFilter(status=ExecutionStatus.UNKNOWN)


@pytest.fixture
def cleanup(gateway, statements, storage) -> Cleanup:
    return cleanup_on(gateway, statements, storage)


async def test_an_overdue_execution_reads_the_same_before_and_after_it_is_moved(storage, cleanup):
    session = await storage.add()
    await storage.execute(session.ref)
    execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
    storage.clock.advance(execution.deadline_at - storage.clock.now())
    expected = Execution(session.ref, execution.execution_id, ExecutionStatus.UNKNOWN)
    for _ in range(2):
        assert (await storage.executions.page(session.ref, None, 5, UNKNOWN)).items == [expected]
        assert await storage.executions.get(session.ref.owner, execution.execution_id) == expected
        with pytest.raises(KeyInterrupted):
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await cleanup.run_once()
    assert cleanup.stats().executions_overdue == 1
    with pytest.raises(ExecutionLost):
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
    with pytest.raises(KeyInterrupted):
        await storage.keyed_executions.begin(*storage.request(session.ref), KEY)


async def test_an_execution_that_is_moved_between_two_reads_is_found(storage, cleanup, gateway, statements):
    session = await storage.add()
    execution = await storage.begin(session.ref)
    storage.clock.advance(execution.deadline_at - storage.clock.now())

    async def move_first(run):
        await cleanup.run_once()
        return await run()

    steered = SteeredGateway(gateway)
    steered.steps["select_overdue_execution"] = [move_first]
    reading = storage_on(steered, statements)
    reading.clock.advance(storage.clock.now() - reading.clock.now())
    expected = Execution(session.ref, execution.execution_id, ExecutionStatus.UNKNOWN)
    assert await reading.executions.get(session.ref.owner, execution.execution_id) == expected
