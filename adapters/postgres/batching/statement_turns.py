"""Which statements of one kind may start beside those in progress."""

import asyncio
from collections import deque
from typing import Protocol

from attrs import define, field
from typing_extensions import override

from domain.concurrency.budget import call_later

_ROUND_S = 0.02
"""Nodes wait for each other for at most this time; few messages take longer, even on a busy server."""

_ROUND_CALLS_MIN = 8
"""A message takes as much processor time as about 8 calls, so waiting for fewer calls would save nothing."""


class Starter(Protocol):
    """Starts statements in turn with others."""

    def start_if_ready(self) -> None:
        """Start waiting calls soon, if a statement may start now."""


@define(eq=False)
class StatementGroup:
    """Statements that count as one, because they share a message; or a single one."""

    left: int = 0
    """Statements in progress."""

    calls: int = 0
    """Calls in all statements."""


@define(eq=False)
class StatementTurns:
    """Statements in progress of one kind: of one coalescer, or of those of several buckets on one node.

    Each bucket has coalescers of its own. If each of them started statements whenever it could, batches would be as
    thin as if each bucket had few callers. So their statements count together, and the coalescers start them in turn.
    """

    in_progress: int = 0
    started_at_s: float = 0.0
    members: deque[Starter] = field(factory=deque)
    _starting: StatementGroup | None = field(default=None, init=False)
    """The group that statements may still join."""

    def may_start(self, concurrency: int, last: StatementGroup | None) -> bool:
        """Return whether a coalescer may start a statement, whose `last` one is in a group."""
        if self._starting is not None:
            return self._starting is not last
        return self.in_progress < concurrency

    def pause_s(self, overlap_s: float, now_s: float) -> float:
        """Return how long the next statement may not start beside those in progress."""
        if self._starting is not None or not self.in_progress:
            return 0.0
        return self.started_at_s + overlap_s - now_s

    def start(self, now_s: float, calls: int) -> StatementGroup:
        """Count a statement that starts, and return its group."""
        group = self._starting or self._new_group(now_s)
        group.left += 1
        group.calls += calls
        return group

    def end(self, group: StatementGroup) -> bool:
        """Note the end of a statement, and return whether the caller must wake the members."""
        group.left -= 1
        if group.left:
            return False
        self.in_progress -= 1
        return True

    def _new_group(self, now_s: float) -> StatementGroup:
        self.in_progress += 1
        self.started_at_s = now_s
        return StatementGroup()

    @property
    def is_shared(self) -> bool:
        """Whether several coalescers start in turn."""
        return len(self.members) > 1

    def wake_next(self) -> None:
        """Let the member after the last one start its calls first."""
        self.members.rotate(-1)
        for member in self.members:
            member.start_if_ready()


@define(eq=False)
class MessageRounds:
    """Messages of one kind to all nodes. Those that start in one turn of the event loop form a round.

    The next round starts when all messages of the last one have ended, or after a limit. A response of one node frees
    callers, whose next calls go to all nodes. If each node sent these calls at once, messages would become thin. Nobody
    waits for a round of few calls.
    """

    _limit_s: float = _ROUND_S
    _turns: "list[NodeTurns]" = field(factory=list, init=False)
    _left: set[StatementGroup] = field(factory=set, init=False)
    """Messages in progress for which the next round waits."""

    _is_starting: bool = field(default=False, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def join(self, turns: "NodeTurns") -> None:
        """Add a node, whose coalescers are woken when the next round may start."""
        self._turns.append(turns)

    @property
    def admits(self) -> bool:
        """Whether a message may start now."""
        return self._is_starting or not self._left

    def start(self, message: StatementGroup) -> None:
        """Count a message that starts."""
        if not self._is_starting:
            self._is_starting = True
            asyncio.get_running_loop().call_soon(self._close)
        self._left.add(message)

    def end(self, message: StatementGroup) -> bool:
        """Note the end of a message, and return whether the caller must wake the coalescers of its node."""
        if message not in self._left:
            return self.admits
        self._left.discard(message)
        if not self._left:
            self._next()
        return False

    def _close(self) -> None:
        self._is_starting = False
        if sum(message.calls for message in self._left) < _ROUND_CALLS_MIN:
            self._left.clear()
        if self._left:
            self._timer = call_later(asyncio.get_running_loop(), self._limit_s, self._next)

    def _next(self) -> None:
        self._left.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in self._turns:
            each.wake_next()


@define(eq=False)
class NodeTurns(StatementTurns):
    """Statements of one kind of the buckets on one node, whose messages start in rounds with those of other nodes.

    Statements that start in one turn of the event loop count as one: they share a message.
    """

    rounds: MessageRounds = field(factory=MessageRounds, kw_only=True)

    def __attrs_post_init__(self) -> None:
        self.rounds.join(self)

    @override
    def may_start(self, concurrency: int, last: StatementGroup | None) -> bool:
        if self._starting is not None:
            return self._starting is not last
        return self.rounds.admits and self.in_progress < concurrency

    @override
    def end(self, group: StatementGroup) -> bool:
        return super().end(group) and self.rounds.end(group)

    @override
    def _new_group(self, now_s: float) -> StatementGroup:
        self._starting = group = super()._new_group(now_s)
        self.wake_next()  # before the end of the group: the others join it
        asyncio.get_running_loop().call_soon(self._close_group)
        self.rounds.start(group)
        return group

    def _close_group(self) -> None:
        self._starting = None
        self.wake_next()
