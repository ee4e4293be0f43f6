"""Ports to the queue of executions."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.audit import Act
from domain.executions.execution import FinishedExecution
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.queue.entry import Claimed, Entry, Turn
from domain.queue.state import Accepted, CancelResult, ExecutionState
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus


@frozen
class StateFilter:
    """The asynchronous executions that a list shows; None shows all. `since` is the earliest instant of acceptance."""

    status: ExecutionStatus | None = None
    session_id: UUID | None = None
    since: datetime | None = None


EVERY_STATE = StateFilter()


@frozen
class ClaimRequest:
    """What a process wants to run now; `claim_id` is new for each claim.

    `entries_max` bounds the entries of the claim, `owner_max` those of one owner. Turns after `after` come first, and
    owners in `blocked` have none. The deadline of the open records is `now`, the session's time limit and `allowance`
    together.
    """

    claim_id: UUID
    now: datetime
    languages: Collection[Language]
    entries_max: int
    owner_max: int
    allowance: timedelta
    after: Turn | None = None
    blocked: Collection[Owner] = ()


@frozen
class Claims:
    """What a claim has taken, and the last turn that it examined: the next claim goes on behind it."""

    entries: Sequence[Claimed] = ()
    last: Turn | None = None


@frozen
class QueueFacts:
    """The queue of an owner in one language.

    `queued` are its entries, `due_at` the instant at which the oldest of those that may start now was due, `running`
    its asynchronous executions that have begun.
    """

    language: Language
    queued: int = 0
    due_at: datetime | None = None
    running: int = 0

    def age(self, now: datetime) -> timedelta | None:
        """Return how long the oldest entry has been due; None if none is due."""
        return None if self.due_at is None else max(timedelta(0), now - self.due_at)


class ExecutionQueue(Protocol):
    """Stores executions that are accepted and not begun, and what became of them.

    Every method may raise StorageUnavailable or Overloaded, as in SessionRepository. A session of another owner counts
    as absent. A result is kept until `retention` after the latest instant at which the execution can end; that instant
    is fixed when it is accepted.
    """

    async def accept(self, entry: Entry, allowance: timedelta, retention: timedelta) -> Accepted:
        """Judge that the session is live, renew it if due, take the key, and store the entry: all or nothing.

        The key is judged first, whatever state the session is in. If an asynchronous call holds it, its state is
        returned while it is under way, and its response after that. The returned entry expires with its session at the
        latest. Accepting the same entry again under its key changes nothing, and returns the entry as it was stored; an
        entry without a key is accepted by one call. Raises SessionNotFound, SessionExpired, SessionClosed,
        ScheduleRefused if the session expires before the start, IdempotencyConflict, KeyInFlight (a synchronous call
        has the key) or KeyInterrupted.
        """
        ...

    async def replayed(self, entry: Entry) -> Accepted | None:
        """Return what `accept` would under the key of an earlier call; None if the key is free. Nothing is stored.

        Raises what `accept` raises of keys.
        """
        ...

    async def claim(self, claim: ClaimRequest) -> Claims:
        """Take entries out of the queue, and store an open record for each in the same write.

        Only entries that are due and not expired, of sessions that are live, are claimed: turn by turn, the entries of
        one turn by `ready_at`. A claim examines a bounded number of turns. An entry with `in_order`
        is claimed only if no earlier one of its session is queued, and none is open. Of concurrent claims each entry
        goes to one. A claim may find fewer entries than there are. If its response is lost (`stored="unknown"`),
        `unclaim` returns what it took.
        """
        ...

    async def put_back(self, claimed: Claimed, not_before: datetime) -> None:
        """Return an entry whose script did not start to its place in the queue, and remove its open record.

        It expires as `claimed.entry` says, if that is earlier than before.
        Nothing happens if the claim has no open record of it. If its cancel was requested meanwhile, it ends as
        cancelled.
        """
        ...

    async def unclaim(self, claim_id: UUID, not_before: datetime) -> int:
        """Put back all entries of a claim, and return how many.

        Only for a claim whose response was lost, so that no script has started.
        """
        ...

    async def finish(self, finished: FinishedExecution, entry: Entry, following: Entry | None = None) -> int:
        """Record the end as KeyedExecutionRepository.finish does, and accept the next attempt in the same write.

        The next attempt is accepted only if the session is live when the execution has ended, and lives until its
        start; it expires with the session at the latest. Raises ExecutionLost.
        """
        ...

    async def cancel(self, owner: Owner, execution_id: UUID, now: datetime) -> tuple[CancelResult, ExecutionState]:
        """End an entry that is queued as cancelled, or mark an open execution, synchronous or not, to be stopped.

        Cancelling again changes nothing. No attempt follows an execution whose cancel was requested. EVERY_OWNER
        cancels for any owner. Raises ExecutionNotFound.
        """
        ...

    async def cancel_running(self, ref: SessionRef, now: datetime) -> Collection[UUID]:
        """Mark the open executions of a closed session, synchronous or not, to be stopped; return them.

        Those whose begin is under way are among them, unless the begin lasts for more than a second. EVERY_OWNER finds
        a session of any owner.
        """
        ...

    async def to_stop(self, running: Sequence[tuple[UUID, UUID]]) -> Collection[UUID]:
        """Return those of these executions (session, execution) whose cancel was requested or that were purged."""
        ...

    async def state(self, owner: Owner, execution_id: UUID, now: datetime) -> ExecutionState:
        """Return the state of an execution of the owner, synchronous or not; EVERY_OWNER finds any.

        Queued: not begun, and it still can. Running: it has an open record, and is within its deadline. What is past
        that is ended first, so that a final state never changes: entries as cancelled or expired, open executions as
        unknown. Without any record the state is unknown. Raises ExecutionNotFound.
        """
        ...

    async def erase(self, owner: Owner, execution_id: UUID, session_id: UUID, act: Act) -> None:
        """Erase params, result, output and files of an execution that has ended, and record the act, in one write.

        Its state stays, without `kept_until`; its key raises KeyErased. Messages to webhooks lose result and error.
        Erasing again changes nothing. EVERY_OWNER erases for any owner.
        """
        ...

    async def entry(self, owner: Owner, execution_id: UUID, now: datetime) -> Entry:
        """Return an asynchronous execution as it was accepted, for as long as its result is kept and not erased.

        Raises ExecutionNotFound.
        """
        ...

    async def page(
        self, owner: Owner, after: UUID | None, size: int, now: datetime, wanted: StateFilter = EVERY_STATE
    ) -> Page[ExecutionState]:
        """Return at most `size` asynchronous executions of the owner, newest first, without their reports.

        Executions whose results are no longer kept are not among them. Entries of the page that can no longer run are
        ended first, so they are shown as ended; if the database does not take that now, or another transaction has
        locked them, as queued. An execution past its deadline may still be shown as running.
        """
        ...

    async def end_entries(self, now: datetime, ref: SessionRef | None = None) -> int:
        """End entries that can no longer run, of a session or of all; return how many. A bounded number in one call.

        An entry of a closed session ends as cancelled, another one as expired. Of closed sessions, a call for all ends
        those entries that claims find first.
        """
        ...

    async def facts(self, owner: Owner, now: datetime, counted_max: int) -> Sequence[QueueFacts]:
        """Return the queue by language; EVERY_OWNER stands for all owners together.

        At most `counted_max` entries of each language are counted and examined, in the order of the queue of an owner.
        Across owners it is the order of their expiry.
        """
        ...

    async def queued(self, owner: Owner, counted_max: int) -> int:
        """Count the entries of an owner, or of all owners, up to `counted_max`."""
        ...
