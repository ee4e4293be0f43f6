"""The rate at which a client has to read its responses."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field

from entrypoints.server.writing import WriteLimits, WriteWatch


@define(eq=False)
class ManualTimer:
    expire: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@define(eq=False)
class ManualConnection:
    """A loop and a transport that the test drives."""

    left: int = 0
    aborted: bool = False
    timers: list[ManualTimer] = field(factory=list)

    def call_later(self, _delay_s: float, call: Callable[..., None], *arguments: Any) -> ManualTimer:
        self.timers.append(ManualTimer(lambda: call(*arguments)))
        return self.timers[-1]

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted = True

    def let_a_span_pass(self) -> None:
        self.timers.pop().expire()


@pytest.fixture
def connection() -> ManualConnection:
    return ManualConnection()


@pytest.fixture
def watch(connection: ManualConnection) -> WriteWatch:
    return WriteWatch(connection, connection, WriteLimits(span_s=10, rate_min=10))  # type: ignore[arg-type]


def test_a_connection_with_nothing_to_send_is_not_watched(connection, watch):
    watch.start()
    assert connection.timers == []


@pytest.mark.parametrize(("read", "aborted"), [(0, True), (99, True), (100, False), (1000, False)])
def test_a_client_that_reads_below_the_rate_is_aborted(connection, watch, read, aborted):
    connection.left = 1000
    watch.start()
    connection.left -= read
    connection.let_a_span_pass()
    assert connection.aborted == aborted


def test_the_watch_lasts_until_all_is_sent(connection, watch):
    connection.left = 300
    watch.start()
    for _ in range(3):
        connection.left -= 100
        connection.let_a_span_pass()
    assert (connection.timers, connection.aborted) == ([], False)


def test_a_second_start_adds_no_timer_and_a_stop_cancels_it(connection, watch):
    connection.left = 1000
    watch.start()
    watch.start()
    (timer,) = connection.timers
    watch.stop()
    watch.stop()
    assert timer.cancelled
