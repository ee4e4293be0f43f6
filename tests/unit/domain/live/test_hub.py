"""A process finds its live executions, and has places for a limited number of their readers."""

import pytest

from domain.errors import Overloaded, QuotaReached
from domain.identity import ANONYMOUS, Owner
from domain.live.hub import LiveHub
from domain.live.position import Position
from domain.scripts.output import PROGRESS_MESSAGE_LENGTH_MAX, ScriptProgress
from tests.contracts.script_runs import new_id

ALICE, BOB = Owner("alice"), Owner("bob")


class TestHub:
    async def test_an_execution_is_found_while_it_runs_here(self):
        hub: LiveHub[str] = LiveHub()
        execution_id = new_id()
        assert hub.find(execution_id) is None
        with hub.live(new_id(), execution_id) as buffer:
            assert hub.find(execution_id) is buffer
        assert hub.find(execution_id) is None

    async def test_an_execution_without_a_recorded_end_breaks_off(self):
        hub: LiveHub[str] = LiveHub()
        with hub.live(new_id(), new_id()) as buffer:
            buffer.on_stdout(b"x")
        assert not any(each.position.is_end for each in await buffer.next(Position()))
        assert await buffer.next(Position(1)) == []

    async def test_its_begin_wakes_those_who_wait_for_it(self):
        hub: LiveHub[str] = LiveHub()
        execution_id = new_id()
        with (
            hub.begins.waiting(execution_id) as begun,
            hub.begins.waiting(new_id()) as other,
            hub.live(new_id(), execution_id),
        ):
            assert (begun.done(), other.done()) == (True, False)
        with hub.begins.waiting(execution_id) as again:
            assert not again.done()

    async def test_closing_it_wakes_all_and_breaks_off_what_runs(self):
        hub: LiveHub[str] = LiveHub()
        with hub.live(new_id(), new_id()) as buffer, hub.begins.waiting(new_id()) as begun:
            hub.close()
            assert begun.done()
            assert await buffer.next(Position()) == []
        assert hub.is_closed

    async def test_nothing_is_read_for_a_reader_once_it_is_closed(self):
        hub: LiveHub[str] = LiveHub()

        async def read() -> str:
            return "read"

        assert await hub.until_closed(read, "closed") == "read"
        hub.close()
        assert await hub.until_closed(read, "closed") == "closed"

    async def test_the_readers_of_an_owner_and_of_all_are_bounded(self):
        hub: LiveHub[str] = LiveHub(readers_max=4, owner_readers_max=2)
        with hub.place(ALICE), hub.place(ALICE):
            with pytest.raises(QuotaReached, match="an event stream"), hub.place(ALICE):
                pass
            with hub.place(BOB), hub.place(BOB):
                assert hub.reader_count == 4
                with pytest.raises(Overloaded), hub.place(ANONYMOUS):
                    pass
        assert hub.reader_count == 0


class TestProgress:
    @pytest.mark.parametrize("value", [None, 0, 0.5, 1])
    def test_a_share_and_a_short_message_are_accepted(self, value):
        assert ScriptProgress(value, "x" * PROGRESS_MESSAGE_LENGTH_MAX).value == value

    @pytest.mark.parametrize(("value", "message"), [(-0.1, ""), (1.1, ""), (float("nan"), ""), (0, "x" * 201)])
    def test_another_value_or_a_long_message_is_refused(self, value, message):
        with pytest.raises(ValueError, match="of a progress"):
            ScriptProgress(value, message)
