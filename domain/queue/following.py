"""The use case of live events: following an execution that was accepted to run later, wherever it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import ClassVar, TypeAlias
from uuid import UUID

from attrs import define, field

from domain.clock import Jitter
from domain.errors import Conflict, Unavailable
from domain.executions.execution import Executed, ExecutionNotFound
from domain.idempotency import NO_SESSION
from domain.identity import Owner
from domain.live.buffer import PAUSE_S
from domain.live.events import ExecutionEnded, KeptText, LiveEvent, LiveState
from domain.live.hub import LiveHub
from domain.live.ports import LiveOutputStore, LiveSource
from domain.live.position import Position
from domain.queue.ends import Ends
from domain.queue.entry import Entry
from domain.queue.state import ExecutionState
from domain.scripts.report import ExecutionStatus, ExecutionUnknown

ReadState: TypeAlias = Callable[[Owner, UUID], Awaitable[ExecutionState]]

_NO_END = "its end could not be recorded"
_POLL_MIN_S = 0.1
_POLL_MAX_S = 1.0
_POLL_GROWTH = 1.5


@define(eq=False)
class EventsNotKept(Conflict):
    """The execution has no live events: its output was not kept for readers."""

    code: ClassVar[str] = "CONFLICT"
    execution_id: UUID

    @property
    def message(self) -> str:
        return (
            f"Execution {self.execution_id} has no events: it was not accepted to run later, or its result was "
            "erased or is no longer kept. Send execute with Accept: text/event-stream to get events."
        )


Ended: TypeAlias = Executed | ExecutionUnknown | ExecutionNotFound | EventsNotKept
"""How an execution ended, as it was recorded; ExecutionUnknown if its end could not be recorded.

The last two are the ends of one that was erased while it was followed.
"""


@define(eq=False)
class ExecutionEvents:
    """Follows executions: those of this process as they run, others in what is stored.

    `read_state` returns the state of an execution of an owner, as ExecutionQueue.state does.
    """

    _read_state: ReadState
    _output: LiveOutputStore
    _hub: LiveHub[Ended]
    _ends: Ends
    _jitter: Jitter

    async def follow(self, owner: Owner, execution_id: UUID, position: Position) -> "FollowedExecution":
        """Return the source of the events of an execution of this owner; EVERY_OWNER follows any.

        Raises ExecutionNotFound, EventsNotKept, StorageUnavailable or Overloaded; InvalidRequest for a position that
        the execution never had, as far as this process can know that.
        """
        followed = self._source(owner, execution_id)
        await followed.begin(position)
        return followed

    def start(self, entry: Entry) -> "FollowedExecution":
        """Return the source of the events of an execution that has just been accepted.

        It reads nothing: an error now would let the caller repeat a call that is accepted.
        """
        followed = self._source(entry.ref.owner, entry.execution_id)
        followed.session_id = entry.ref.session_id
        return followed

    def replay(self, executed: Executed) -> "FollowedExecution":
        """Return the source of the events of an execution that is known to have ended."""
        followed = self._source(executed.ref.owner, executed.execution_id)
        followed.end(executed.ref.session_id, executed.report.status, executed)
        return followed

    def _source(self, owner: Owner, execution_id: UUID) -> "FollowedExecution":
        return FollowedExecution(
            owner, execution_id, self._read_state, self._output, self._hub, self._ends, self._jitter
        )


@define(eq=False)
class FollowedExecution(LiveSource[Ended]):
    """The events of one execution that is queued, runs here or elsewhere, or has ended.

    While it runs here they come from its buffer; while it runs elsewhere, from what is stored of its output; at the
    end, from its record. What is stored is polled.
    """

    _owner: Owner
    execution_id: UUID
    _read_state: ReadState
    _output: LiveOutputStore
    _hub: LiveHub[Ended]
    _ends: Ends
    _jitter: Jitter
    session_id: UUID = field(default=NO_SESSION, init=False)
    status: ExecutionStatus = field(default=ExecutionStatus.QUEUED, init=False)
    """As it was read last."""
    _recorded: LiveState[Ended] | None = field(default=None, init=False)
    _pause_s: float = field(default=_POLL_MIN_S, init=False)
    _due_at_s: float = field(default=0.0, init=False)
    """When what another process stores may be read again."""

    def end(self, session_id: UUID, status: ExecutionStatus, ended: Ended) -> None:
        """Take an end that is recorded."""
        self.session_id, self.status, self._recorded = session_id, status, _recorded(ended)

    async def begin(self, position: Position) -> None:
        """Read the state for the first time, and judge the position; raises what `ExecutionEvents.follow` raises."""
        known, buffer = await self._known(position), self._hub.find(self.execution_id)
        if buffer is not None:
            known = buffer.state
        # Of an execution that runs elsewhere, and of an unknown end, readers may have had more than is known here.
        elif self.status in {ExecutionStatus.RUNNING, ExecutionStatus.UNKNOWN}:
            return
        known.require(position)
        known.after(position)

    async def next(self, position: Position) -> Sequence[LiveEvent[Ended]]:
        while not self._hub.is_closed:
            buffer = self._hub.find(self.execution_id)
            if buffer is not None and (events := await buffer.next(position)):
                return events
            with self._hub.begins.waiting(self.execution_id) as begun, self._ends.waiting(self.execution_id) as ended:
                await self._until_due((begun, ended))
                nothing: Sequence[LiveEvent[Ended]] | None = ()
                stored = await self._hub.until_closed(lambda: self._stored(position), nothing)
                if stored is not None:
                    self._due_in(0.0 if self._recorded is not None else PAUSE_S)
                    self._pause_s = _POLL_MIN_S
                    return stored
                self._due_in(self._jitter(self._pause_s / 2, self._pause_s))
                self._pause_s = min(_POLL_MAX_S, self._pause_s * _POLL_GROWTH)
                await self._until_due((begun, ended))
        return ()

    def _due_in(self, pause_s: float) -> None:
        self._due_at_s = asyncio.get_running_loop().time() + pause_s

    async def _until_due(self, changes: "Collection[asyncio.Future[None]]") -> None:
        """Wait until a read is due, or something has changed."""
        left_s = self._due_at_s - asyncio.get_running_loop().time()
        if left_s > 0:
            await asyncio.wait(changes, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            self._due_at_s = 0.0

    async def _stored(self, position: Position) -> Sequence[LiveEvent[Ended]] | None:
        """Return the next events, or None if they are not known yet."""
        try:
            known = await self._known(position)
        except Unavailable:
            return None
        except (ExecutionNotFound, EventsNotKept) as erased:
            known = self._recorded = _recorded(erased)
        events = known.after(position)
        return events if events or self._recorded is not None else None

    async def _known(self, position: Position) -> LiveState[Ended]:
        """Return what is stored of the execution; where it runs, more may be known."""
        if self._recorded is not None:
            return self._recorded
        state = await self._read_state(self._owner, self.execution_id)
        if not state.asynchronous or _is_erased(state):
            raise EventsNotKept(self.execution_id)
        self.session_id, self.status = state.ref.session_id, state.status
        if state.status is ExecutionStatus.QUEUED:
            return LiveState()
        if state.status is ExecutionStatus.RUNNING and self._hub.runs(self.execution_id):
            return LiveState()  # its buffer has everything
        if state.status in {ExecutionStatus.RUNNING, ExecutionStatus.UNKNOWN}:
            output = await self._output.read(self.session_id, self.execution_id, position)
            if not state.status.is_final or output.after(position):
                return output
        self._recorded = _recorded(state.executed or ExecutionUnknown(_NO_END, self.execution_id))
        return self._recorded


def _is_erased(state: ExecutionState) -> bool:
    return state.status.is_final and state.status is not ExecutionStatus.UNKNOWN and state.executed is None


def _recorded(ended: Ended) -> LiveState[Ended]:
    if not isinstance(ended, Executed):
        return LiveState(ended=ExecutionEnded(ended))
    report = ended.report
    return LiveState(KeptText.of(report.stdout), KeptText.of(report.stderr), ended=ExecutionEnded(ended))
