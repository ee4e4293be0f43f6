"""The host remembers a bounded number of executions, each until its time is over."""

import pytest

from domain.errors import Overloaded
from entrypoints.runtime_host.errors import ExecutionSeen
from entrypoints.runtime_host.executions import SeenExecutions
from tests.contracts.script_runs import new_id


@pytest.fixture
def seen(monotonic):
    return SeenExecutions(2, monotonic)


class TestSeenExecutions:
    def test_an_id_is_rejected_until_its_time_is_over(self, seen, monotonic):
        execution_id = new_id()
        seen.add(execution_id, 10)
        monotonic.now_s += 9.99
        with pytest.raises(ExecutionSeen):
            seen.add(execution_id, 10)
        monotonic.now_s += 0.01
        seen.add(execution_id, 10)

    def test_when_it_is_full_it_rejects_ids_and_forgets_none(self, seen, monotonic):
        first = new_id()
        seen.add(first, 10)
        seen.add(new_id(), 5)
        with pytest.raises(Overloaded):
            seen.add(new_id(), 1)
        monotonic.now_s += 5
        seen.add(new_id(), 1)
        with pytest.raises(ExecutionSeen):
            seen.add(first, 10)

    def test_when_it_is_full_an_id_takes_the_place_of_the_first_that_was_spared(self, seen):
        kept, spared, spared_later, last = [new_id() for _ in range(4)]
        for execution_id in (kept, spared):
            seen.add(execution_id, 10)
        seen.spare(spared)
        with pytest.raises(ExecutionSeen):
            seen.add(spared, 10)
        seen.add(spared_later, 10)
        seen.spare(spared_later)
        seen.add(last, 10)
        for execution_id in (kept, last):
            with pytest.raises(ExecutionSeen):
                seen.add(execution_id, 10)
        with pytest.raises(Overloaded):
            seen.add(spared, 10)

    def test_spared_ids_whose_time_is_over_take_no_memory(self, seen, monotonic):
        removed = new_id()
        seen.add(removed, 5)
        seen.remove(removed)
        seen.spare(removed)
        for _ in range(3):
            execution_id = new_id()
            seen.add(execution_id, 5)
            seen.spare(execution_id)
            monotonic.now_s += 5
        seen.add(new_id(), 5)
        assert seen.debug_snapshot() == {"ids": 1, "ends": 1, "spared": 0}

    def test_a_removed_id_may_be_added_again(self, seen):
        execution_id = new_id()
        seen.add(execution_id, 10)
        seen.remove(execution_id)
        seen.add(execution_id, 10)
        with pytest.raises(ExecutionSeen):
            seen.add(execution_id, 10)

    def test_an_id_whose_time_is_over_can_be_removed(self, seen, monotonic):
        execution_id = new_id()
        seen.add(execution_id, 5)
        monotonic.now_s += 5
        seen.add(new_id(), 5)
        seen.remove(execution_id)
        seen.add(execution_id, 5)

    def test_removed_ids_take_no_memory(self, seen):
        kept = new_id()
        seen.add(kept, 10)
        for _ in range(100):
            execution_id = new_id()
            seen.add(execution_id, 5)
            seen.remove(execution_id)
        assert seen.debug_snapshot()["ends"] <= 5
        with pytest.raises(ExecutionSeen):
            seen.add(kept, 10)

    def test_the_end_of_a_removed_entry_does_not_end_a_later_one(self, seen, monotonic):
        execution_id = new_id()
        seen.add(execution_id, 5)
        seen.remove(execution_id)
        seen.add(execution_id, 10)
        monotonic.now_s += 7
        with pytest.raises(ExecutionSeen):
            seen.add(execution_id, 10)
