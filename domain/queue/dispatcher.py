"""Takes executions out of the queue and runs them, a bounded number at once."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.clock import Clock, IdGenerator, Jitter
from domain.concurrency.background_tasks import BackgroundTasks
from domain.environments.environment import EnvironmentNotFound
from domain.errors import DomainError, StorageUnavailable, Unavailable
from domain.executions.execution import FinishedExecution
from domain.executions.ports import EndRecorder
from domain.executions.service import ExecutionService
from domain.files.file import FileExpired, FileNotFound
from domain.grants.ceilings import EgressNotAllowed
from domain.identity import Owner, SessionRef
from domain.live.hub import LiveHub
from domain.queue.ending import following
from domain.queue.ends import Ends
from domain.queue.entry import Claimed, Turn
from domain.queue.following import Ended
from domain.queue.ports import ClaimRequest, ExecutionQueue
from domain.queue.served import ServedLanguages
from domain.scripts.language import Language
from domain.secrets.secret import SecretNotAllowed, SecretNotFound
from domain.states.state import StateTaken

_OF_GRANTS = EgressNotAllowed | EnvironmentNotFound | SecretNotAllowed | SecretNotFound
"""Why a session does not get what was granted to it. Somebody may change that before its entries expire."""


@frozen
class DispatchPolicy:
    """Times in seconds. A process runs `running_max` entries at once, `owner_running_max` of one owner."""

    running_max: int
    owner_running_max: int
    allowance: timedelta
    busy_pause_s: float = 0.05
    idle_pause_s: float = 1.0
    busy_for_s: float = 1.0
    growth: float = 1.3
    put_back_pause: timedelta = timedelta(seconds=1)
    postponed_pause: timedelta = timedelta(milliseconds=250)
    """Before an entry is due again that found another execution of its session writing the state."""
    refused_pause: timedelta = timedelta(seconds=30)
    """Before an entry is due again whose session does not get what was granted to it."""
    claimed_max: int = 256
    """Entries of one claim. If one filled all places, all would end together, and the server would wait meanwhile."""


@define(eq=False)
class Dispatcher:
    """Claims entries while it may run more, and runs each as ExecutionService runs a call.

    A claim follows at once when this process has accepted an entry, or an entry has ended. Otherwise the pause grows
    from `busy_pause_s` to `idle_pause_s`. After `stop` nothing more is claimed.
    """

    _queue: ExecutionQueue
    _executions: ExecutionService
    _clock: Clock
    _ids: IdGenerator
    _policy: DispatchPolicy
    _served: ServedLanguages
    _tasks: BackgroundTasks
    _ends: Ends
    _hub: LiveHub[Ended]
    _jitter: Jitter
    _held: Counter[Owner] = field(init=False, factory=Counter)
    _resting: dict[Owner, datetime] = field(init=False, factory=dict)
    """Owners of whom an execution could not start here, until when none of theirs is claimed."""
    _woken: asyncio.Event = field(init=False, factory=asyncio.Event)
    _changed: asyncio.Event = field(init=False, factory=asyncio.Event)
    _last_turn: Turn | None = field(init=False, default=None)
    _is_claiming: bool = field(init=False, default=False)
    _is_stopped: bool = field(init=False, default=False)

    @property
    def held(self) -> int:
        """How many entries this process has claimed and not ended."""
        return self._held.total()

    def wake(self) -> None:
        """Claim now rather than after the pause."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more, and let no caller wait longer; what a claim under way finds still runs."""
        self._is_stopped = True
        self._ends.stop()
        self.wake()

    async def drain(self, timeout_s: float) -> int:
        """Stop, wait until nothing that was claimed runs or the time is over, and return how many still do."""
        self.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._is_claiming or self.held:
                    self._changed.clear()
                    await self._changed.wait()
        return self.held

    async def run(self) -> None:
        """Claim until `stop`; a database that is away is tried again."""
        loop = asyncio.get_running_loop()
        pause_s, busy_until_s = self._policy.busy_pause_s, 0.0
        while not self._is_stopped:
            self._woken.clear()
            claimed = await self._claim_what_fits()
            if claimed:
                pause_s, busy_until_s = self._policy.busy_pause_s, loop.time() + self._policy.busy_for_s
                continue
            await self._pause(pause_s)
            if loop.time() >= busy_until_s:
                pause_s = min(self._policy.idle_pause_s, pause_s * self._policy.growth)

    async def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._jitter(pause_s / 2, pause_s)):
                await self._woken.wait()

    async def _claim_what_fits(self) -> int:
        """Claim, start what was claimed, and return how many there were."""
        free = self._policy.running_max - self.held
        languages = await self._served.now() if free else ()
        if not languages or self._is_stopped:
            return 0
        self._is_claiming = True
        try:
            return await self._claim(self._request(free, languages))
        except Unavailable:  # also before the first contact with the database, when there is no time
            return 0
        finally:
            self._is_claiming = False
            self._changed.set()

    def _request(self, free: int, languages: Collection[Language]) -> ClaimRequest:
        now = self._clock.now()
        self._resting = {owner: until for owner, until in self._resting.items() if now < until}
        busy = (owner for owner, held in self._held.items() if held >= self._policy.owner_running_max)
        blocked = {*busy, *self._resting}
        return ClaimRequest(
            self._ids.new(now),
            now,
            languages,
            min(free, self._policy.claimed_max),
            self._policy.owner_running_max,
            self._policy.allowance,
            self._last_turn,
            blocked,
        )

    async def _claim(self, request: ClaimRequest) -> int:
        try:
            found = await self._queue.claim(request)
        except StorageUnavailable as error:
            if error.stored == "unknown":
                self._tasks.spawn(self._unclaim(request))
            return 0
        self._last_turn = found.last
        for claimed in found.entries:
            self._held[claimed.entry.ref.owner] += 1
        # Not yet: the next claim goes to the server before, which else waits while these start.
        asyncio.get_running_loop().call_soon(self._start, found.entries)
        return len(found.entries)

    def _start(self, entries: Sequence[Claimed]) -> None:
        for claimed in entries:
            self._tasks.spawn(self._run(claimed))

    async def _unclaim(self, request: ClaimRequest) -> None:
        """Return what a claim whose response was lost has taken; past their deadlines they are unknown."""
        until, pause_s = request.now + request.allowance, self._policy.idle_pause_s
        while self._clock.now() < until:
            await asyncio.sleep(pause_s)
            with contextlib.suppress(Unavailable):
                if await self._queue.unclaim(request.claim_id, self._clock.now()):
                    self.wake()
                    return
            pause_s *= 2  # the server may still run the claim, and commit it later

    async def _run(self, claimed: Claimed) -> None:
        owner = claimed.entry.ref.owner
        pause = self._policy.put_back_pause
        recorder = QueuedRecorder(self._queue, claimed, self._clock, self._ids, pause, self._jitter, self._rest)
        session_id, execution_id = claimed.entry.ref.session_id, claimed.entry.execution_id
        try:
            with self._hub.live(session_id, execution_id) as buffer:
                execution, params, files = claimed.execution, claimed.entry.params, claimed.entry.options.files
                postponing = partial(self._postponing, recorder)
                ending = self._executions.complete(execution, params, recorder, buffer, postponing, files=files)
                buffer.end(await ending)
        except DomainError:
            # Nobody waits for this call: its end is recorded, or its state says what is known. The task that withdraws
            # it starts first: else a claim would find the owner's place free, and not yet that the owner rests.
            await asyncio.sleep(0)
        finally:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
            self._ends.notify(execution_id)
            self._changed.set()
            self.wake()

    def _postponing(self, recorder: "QueuedRecorder", error: DomainError) -> EndRecorder:
        """Return what puts an entry back that cannot run now, or ends it as expired if it can never run.

        Its owner rests only if others of its entries may not run either.
        """
        if isinstance(error, StateTaken):
            return evolve(recorder, pause=self._policy.postponed_pause, unstarted=_rest_nobody)
        if isinstance(error, _OF_GRANTS):
            return evolve(recorder, pause=self._policy.refused_pause, unstarted=_rest_nobody)
        if isinstance(error, FileNotFound | FileExpired):
            return evolve(recorder, unstarted=_rest_nobody, can_run=False)
        return recorder

    def _rest(self, owner: Owner, until: datetime) -> None:
        """Claim nothing of the owner until then: else its entries would be taken in vain, one after the other."""
        self._resting[owner] = until


def _rest_nobody(_owner: Owner, _until: datetime) -> None:
    """Let other entries of the owner start: what delays this one is its session."""


@frozen
class QueuedRecorder(EndRecorder):
    """Writes of an execution that was claimed: what did not start returns to the queue."""

    _queue: ExecutionQueue
    _claimed: Claimed
    _clock: Clock
    _ids: IdGenerator
    _pause: timedelta
    _jitter: Jitter
    _unstarted: Callable[[Owner, datetime], None]
    _can_run: bool = True
    """Whether the entry may start later. One that may not would hold up those behind it until its expiry."""

    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:  # noqa: ARG002  # that of the entry
        now = self._clock.now()
        if not self._can_run:
            await self._queue.put_back(evolve(self._claimed, entry=self._claimed.entry.expired(now)), now)
            await self._queue.end_entries(now, ref)
            return
        not_before = now + self._pause
        self._unstarted(self._claimed.entry.ref.owner, not_before)
        await self._queue.put_back(self._claimed, not_before)

    async def finish(self, finished: FinishedExecution) -> int:
        entry = self._claimed.entry
        return await self._queue.finish(finished, entry, following(finished, entry, self._ids, self._jitter))
