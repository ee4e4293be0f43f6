"""Limits of time on connections, on a loop whose time the test sets."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field

from entrypoints.server.rearmable_timer import RearmableTimer


@define(eq=False)
class ManualTimer:
    at_s: float
    ring: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@define(eq=False)
class ManualLoop:
    now_s: float = 100.0
    timers: list[ManualTimer] = field(factory=list)

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, ring: Callable[[], None]) -> ManualTimer:
        self.timers.append(ManualTimer(at_s, ring))
        return self.timers[-1]

    def advance(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while due := [timer for timer in self.timers if timer.at_s <= until_s and not timer.cancelled]:
            timer = min(due, key=lambda one: one.at_s)
            self.timers.remove(timer)
            self.now_s = max(self.now_s, timer.at_s)
            timer.ring()
        self.now_s = until_s

    @property
    def pending(self) -> int:
        return sum(not timer.cancelled for timer in self.timers)


@define(eq=False)
class Watched:
    loop: ManualLoop = field(factory=ManualLoop)
    lost_at_s: list[float] = field(factory=list)

    def patience(self) -> Any:
        return RearmableTimer(self.loop, lambda: self.lost_at_s.append(self.loop.now_s))  # type: ignore[arg-type]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_it_is_lost_once_at_the_end_of_its_time(watched):
    watched.patience().last(10)
    watched.loop.advance(9.9)
    assert watched.lost_at_s == []
    watched.loop.advance(100)
    assert watched.lost_at_s == [110.0]


def test_what_is_set_anew_counts_from_then_on(watched):
    patience = watched.patience()
    patience.last(10)
    for _ in range(5):
        watched.loop.advance(6)
        patience.last(10)
    assert watched.lost_at_s == []
    assert watched.loop.pending == 1
    watched.loop.advance(10)
    assert watched.lost_at_s == [140.0]


def test_a_shorter_time_is_not_overslept(watched):
    patience = watched.patience()
    patience.last(75)
    patience.last(1)
    watched.loop.advance(1)
    assert watched.lost_at_s == [101.0]


def test_at_rest_it_is_never_lost_until_it_is_set_anew(watched):
    patience = watched.patience()
    patience.last(10)
    patience.rest()
    watched.loop.advance(1000)
    assert watched.lost_at_s == []
    patience.last(5)
    watched.loop.advance(5)
    assert watched.lost_at_s == [1105.0]


def test_once_closed_it_leaves_nothing_in_the_loop(watched):
    patience = watched.patience()
    patience.last(10)
    patience.close()
    assert watched.loop.pending == 0
    watched.loop.advance(100)
    assert watched.lost_at_s == []
