"""Readers have a pace, and a limit of their number; a process finds its live executions."""

import asyncio

import pytest

from domain.errors import Overloaded, QuotaReached
from domain.identity import ANONYMOUS, Owner
from domain.live.buffer import LiveBuffer
from domain.live.events import OutputPiece
from domain.live.hub import LiveHub
from domain.live.position import Position
from domain.live.reader import LiveReader
from domain.scripts.output import PROGRESS_MESSAGE_LENGTH_MAX, ScriptProgress
from tests.contracts.script_runs import new_id

ALICE, BOB = Owner("alice"), Owner("bob")


class TestReader:
    async def test_pieces_within_the_pause_arrive_together(self):
        buffer: LiveBuffer[str] = LiveBuffer()
        reader = LiveReader(buffer, pause_s=0.05)
        started_at = asyncio.get_running_loop().time()
        texts = []
        for piece in (b"1", b"2", b"3"):
            buffer.on_stdout(piece)
        texts += [each.what for each in await reader.next()]
        for piece in (b"4", b"5"):
            buffer.on_stdout(piece)
        texts += [each.what for each in await reader.next()]
        assert [each.text for each in texts] == ["123", "45"]
        assert asyncio.get_running_loop().time() - started_at >= 0.05

    async def test_the_end_is_not_paced(self):
        buffer: LiveBuffer[str] = LiveBuffer()
        reader = LiveReader(buffer, pause_s=3600)
        buffer.on_stdout(b"x")
        await reader.next()
        reading = asyncio.ensure_future(reader.next())
        await asyncio.sleep(0)
        buffer.on_stdout(b"y" * 200_000)
        buffer.end("end")
        async with asyncio.timeout(5):
            events = [*await reading]
            while not reader.position.is_end:
                events += await reader.next()
        assert sum(len(each.what.text) for each in events if isinstance(each.what, OutputPiece)) == 200_000

    async def test_a_cancelled_read_loses_nothing(self):
        buffer: LiveBuffer[str] = LiveBuffer()
        reader = LiveReader(buffer, pause_s=0)
        reading = asyncio.ensure_future(reader.next())
        await asyncio.sleep(0)
        buffer.on_stdout(b"kept")
        reading.cancel()
        await asyncio.wait([reading])
        (event,) = await reader.next()
        assert (event.what.text, reader.position) == ("kept", Position(4))

    async def test_a_reader_of_a_source_that_broke_off_gets_nothing_more(self):
        buffer: LiveBuffer[str] = LiveBuffer()
        buffer.break_off()
        assert await LiveReader(buffer).next() == []


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
