"""The contract of OriginRepairs."""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.takeover.cache_ports import OriginRepairs
from domain.takeover.cached import ExecutionCount
from domain.takeover.source_session import SourceSession
from tests.contracts.takeover_store import origin_id
from tests.unit.takeover.builders import row

EXECUTED = ExecutionCount(3, row().last_executed_at)


def session(number: int, **changes: object) -> SourceSession:
    return row(request_id=str(origin_id(number)), **changes)


class OriginRepairsContract:
    """Subclasses have a fixture `repairs`: a table that is empty, without a trigger."""

    @pytest.fixture
    def repairs(self) -> OriginRepairs:
        raise NotImplementedError

    async def test_added_rows_are_those_that_executions_tell_of(self, repairs):
        rows = [session(number) for number in range(3)]
        ids = [each.request_id for each in rows]
        assert await repairs.add(rows[:2]) == ids[:2]
        assert await repairs.executions(ids) == {ids[0]: EXECUTED, ids[1]: EXECUTED}

    async def test_a_row_that_is_there_stays_as_it_is(self, repairs):
        await repairs.add([session(1)])
        assert await repairs.add([session(1, execution_count=9), session(2)]) == [str(origin_id(1)), str(origin_id(2))]
        assert await repairs.executions([str(origin_id(1))]) == {str(origin_id(1)): EXECUTED}

    async def test_a_row_that_the_table_refuses_is_left_out(self, repairs):
        rows = [session(number, language_title="nodejs-" + "x" * (200 if number == 1 else 1)) for number in range(3)]
        assert await repairs.add(rows) == [str(origin_id(0)), str(origin_id(2))]

    @pytest.mark.parametrize("executed", [ExecutionCount(9, EXECUTED.last_at), ExecutionCount(0, None)])
    async def test_corrected_rows_have_the_counts_and_instants_given(self, repairs, executed):
        await repairs.add([session(1), session(2)])
        await repairs.correct({str(origin_id(1)): executed})
        assert await repairs.executions([str(origin_id(1))]) == {str(origin_id(1)): executed}
        assert await repairs.executions([str(origin_id(2))]) == {str(origin_id(2)): EXECUTED}

    async def test_a_row_that_was_never_executed_counts_none(self, repairs):
        await repairs.add([evolve(session(1), execution_count=0, last_executed_at=None)])
        assert await repairs.executions([str(origin_id(1))]) == {str(origin_id(1)): ExecutionCount(0, None)}

    async def test_the_clock_goes_on(self, repairs):
        first = await repairs.now()
        assert timedelta(0) <= await repairs.now() - first < timedelta(minutes=1)

    async def test_without_a_trigger_counts_do_not_run_ahead(self, repairs):
        assert await repairs.runs_ahead() is False
