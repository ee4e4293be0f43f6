"""What the rules need from outside; each docstring is a contract that every adapter is tested against."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from attrs import field, frozen

from domain.api_key import ApiKey
from domain.errors import Problem
from domain.executed import Executed
from domain.execution import Execution, OpenExecution, Outcome, ScriptReport
from domain.function import Function, FunctionSummary, FunctionType
from domain.function_schema import FunctionSchema
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionKey
from domain.initialized import Initialized
from domain.json_text import JsonText
from domain.language import Language, LanguageTitle
from domain.limits import Limits
from domain.principal import Principal
from domain.script import Script
from domain.session import Session, Status


class Clock(Protocol):
    """Tells the time that every controller of one database agrees on."""

    def now(self) -> datetime:
        """Return the instant, aware and in UTC; never earlier than one returned before.

        Raises StorageUnavailable as long as the common time is not known.
        """
        ...


class IdGenerator(Protocol):
    """Makes the ids of sessions and executions."""

    def new(self, now: datetime) -> UUID:
        """Return a UUIDv7 that nobody else has, with `now` inside (see `domain.identity.uuid7_at`)."""
        ...


@frozen
class SessionFilter:
    """Which sessions a list shows; None shows all. Status is judged at `judged_at`."""

    judged_at: datetime
    status: Status | None = None
    language: Language | None = None


@frozen
class ExecutionFilter:
    """Which executions a history shows; None shows all. `since` is the earliest instant of admission."""

    outcome: Outcome | None = None
    since: datetime | None = None


EVERY_EXECUTION = ExecutionFilter()

Item = TypeVar("Item")


@frozen
class Page(Generic[Item]):
    """Items, newest first, and the id to go on after; None when there is nothing beyond.

    A page may hold fewer items than asked for while `next_after` is set: the number of examined rows is bounded.
    """

    items: Sequence[Item]
    next_after: UUID | None


@frozen
class Admission:
    """An execution that was begun, and the session as it was admitted with."""

    execution: OpenExecution
    session: Session


@frozen
class ExecutionRequest:
    """An execution to begin: admitted at `started_at`, and to end within the session's limit and `allowance`."""

    key: SessionKey
    execution_id: UUID
    started_at: datetime
    allowance: timedelta


@frozen
class FinishedExecution:
    """An execution to record: what it was given, and what came out."""

    execution: OpenExecution
    finished_at: datetime
    params: JsonText = field(repr=False)
    report: ScriptReport


class SessionRepository(Protocol):
    """Keeps sessions and their scripts.

    Any method may raise StorageUnavailable or Overloaded; for a write that may yet be stored, StorageUnavailable says
    `stored="unknown"`. A session of another owner is exactly as absent; EVERY_OWNER in the owner's place stands for
    whoever it belongs to.
    """

    async def add(self, session: Session, script: Script) -> None:
        """Store a new session durably. Adding the same session again changes nothing."""
        ...

    async def get(self, key: SessionKey) -> Session:
        """Return the session, whatever its status, as all acknowledged writes left it.

        Raises SessionNotFound.
        """
        ...

    async def script(self, key: SessionKey) -> Script | None:
        """Return the session's script; None when the session has been emptied.

        Raises SessionNotFound.
        """
        ...

    async def update(self, key: SessionKey, change: Callable[[Session], Session]) -> Session:
        """Replace the stored session with `change(stored)` and return it.

        `change` is pure and may be called several times. Of concurrent updates each sees the one before it. If
        `change` raises, or returns what it was given, nothing is stored. Counts, `last_executed_at` and renewals that
        happen meanwhile are kept: `expires_at` never moves back. A session whose `script_hash` becomes None loses
        its script. Raises SessionNotFound, and UpdateConflict when races with other processes do not end in time.
        """
        ...

    async def page(self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int) -> Page[Session]:
        """Return at most `size` of the owner's sessions, newest first, older than `after`."""
        ...


class ExecutionRepository(Protocol):
    """Keeps executions: those that are open, and the history.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def begin(self, request: ExecutionRequest) -> Admission:
        """Admit an execution: judge the session live at `started_at`, renew it if due, keep an open record.

        The open record's deadline is `started_at`, the session's time limit and the allowance together. Beginning the
        same execution again changes nothing more. Raises SessionNotFound, SessionExpired or SessionClosed.
        """
        ...

    async def withdraw(self, execution_id: UUID, key: SessionKey) -> None:
        """Forget an execution that no worker took: no count, no history. Absent is fine."""
        ...

    async def finish(self, finished: FinishedExecution) -> int:
        """Count the execution, write its history row, remove the open record; return the session's new count.

        Each execution counts once: finishing again returns the first answer. Executions that finish together get
        distinct counts. A session that expired or was closed meanwhile counts all the same. Raises ExecutionLost
        when there is neither an open record nor a history row.
        """
        ...

    async def page(
        self, key: SessionKey, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        """Return at most `size` executions of the session, newest first, older than `after`.

        Open records past their deadline are among them, with outcome `unknown`. An unknown session has none.
        """
        ...

    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        """Return an execution of the owner; an open record past its deadline has outcome `unknown`.

        EVERY_OWNER stands for whoever it belongs to, in the answer's key too.
        Raises ExecutionNotFound, also while the execution is under way.
        """
        ...


class KeyedCallRepository(Protocol):
    """Keeps calls under the keys that callers gave them, for KEPT_FOR; a key is an owner's and a session's own.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository. Of concurrent calls with one key
    one wins, whichever process it is in.
    """

    async def begin(self, request: ExecutionRequest, key: IdempotencyKey) -> Admission | Executed:
        """Admit an execution under a key, as ExecutionRepository does; or return what the first one's caller was told.

        The key is judged first, whatever has become of the session since. What is refused takes no key. Beginning the
        same execution again changes nothing more. Raises IdempotencyConflict, KeyInFlight, KeyInterrupted, and what
        ExecutionRepository.begin raises.
        """
        ...

    async def withdraw(self, execution_id: UUID, key: SessionKey, name: str) -> None:
        """Forget an execution that no worker took, and free the key `name` if the execution has it. Absent is fine."""
        ...

    async def finish(self, finished: FinishedExecution, name: str) -> int:
        """Record the end as ExecutionRepository does, and keep in the same write what the caller is told.

        Raises ExecutionLost.
        """
        ...

    async def initialize(self, made: Initialized, session: Session, script: Script, key: IdempotencyKey) -> Initialized:
        """Store a new session, and in the same write what its caller is told; or return what the first one was told.

        Raises IdempotencyConflict.
        """
        ...

    async def initialized(self, owner: Owner, key: IdempotencyKey, now: datetime) -> Initialized | None:
        """Return what the first caller with this key was told; None when there was none.

        Raises IdempotencyConflict.
        """
        ...


@frozen
class FunctionFilter:
    """Which functions a list shows; None shows all."""

    language: Language | None = None
    type: FunctionType | None = None

    def shows(self, function: Function) -> bool:
        """Tell whether a function is in the list; one that has been deactivated is in none."""
        by_language = self.language in (None, function.language_title.language)
        return function.deactivated_at is None and by_language and self.type in (None, function.type)


@frozen
class FunctionPage:
    """Functions in the order of their language-titles, and how many there are on all pages."""

    total: int
    items: Sequence[FunctionSummary]


class FunctionRepository(Protocol):
    """Keeps functions with all of their versions.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def get(self, title: LanguageTitle) -> Function:
        """Return the function, deactivated or not, as all acknowledged writes left it.

        Raises FunctionNotFound when nothing was ever registered under the title.
        """
        ...

    async def schema(self, title: LanguageTitle, version: int) -> FunctionSchema:
        """Return the schema of a version, be it current or not; it never changes, so an adapter may keep it.

        Raises FunctionVersionNotFound.
        """
        ...

    async def update(self, title: LanguageTitle, change: Callable[[Function | None], Function]) -> Function:
        """Replace the stored function, or None where there is none, with `change(stored)` and return it.

        `change` is pure and may be called several times. Of concurrent updates each sees the one before it. If
        `change` raises, or returns what it was given, nothing is stored. Every version stays readable by `schema`.
        Raises FunctionConflict when races do not end in time.
        """
        ...

    async def page(self, wanted: FunctionFilter, offset: int, size: int) -> FunctionPage:
        """Return at most `size` functions that are not deactivated, after the first `offset` of them."""
        ...


class Schema(Protocol):
    """A JSON Schema that is ready to check with."""

    def problems(self, value: JsonText) -> tuple[Problem, ...]:
        """Return what in the value does not fit, by JSON pointer into it; no problem means that it fits.

        The number of problems is bounded, and so is the work: a value that is too large for a schema of this weight
        does not fit, and the problem says so.
        """
        ...


class SchemaCompiler(Protocol):
    """Makes JSON Schemas of draft 2020-12 ready; never fetches anything from anywhere."""

    async def compile(self, text: JsonText) -> Schema:
        """Return the schema ready to use; raises SchemaRefused with every reason, by JSON pointer into it."""
        ...


@frozen
class ScriptRun:
    """One run to make.

    `source` is asked for only when no worker holds the script yet; it raises what reading the script raises.
    """

    execution: OpenExecution
    language: Language
    limits: Limits
    expires_at: datetime
    script_hash: str
    context: JsonText = field(repr=False)
    params: JsonText = field(repr=False)
    source: Callable[[], Awaitable[Script]] = field(repr=False, eq=False)


class Worker(Protocol):
    """A place that was given to one run."""

    async def run(self) -> ScriptReport:
        """Run the script to its end, by its own limits, and return what came out, failures included.

        Called at most once. User code never runs twice. Raises ExecutionUnknown when the script may have started and
        its end is not known; any other DomainError (RuntimeUnavailable, Overloaded, what `run.source` raises when a
        runtime has lost the script) says that nothing was started.
        """
        ...

    async def release(self) -> None:
        """Give the place back; safe after `run`, instead of it, and again."""
        ...


class ScriptRunner(Protocol):
    """Runs scripts of some languages in sandboxes. Waits are bounded by the server's settings."""

    async def acquire(self, run: ScriptRun) -> Worker:
        """Wait for a worker; cancelling the call leaves the queue, and nothing was started.

        Raises Overloaded when the queue is full or the wait too long, RuntimeUnavailable when the language cannot
        run now, and what `run.source` raises.
        """
        ...

    async def check(self, language: Language, script: Script, owner: Owner) -> bool:
        """Parse the script without running it; return whether it was parsed (a runtime may not be able to).

        Raises ScriptSyntaxError, RuntimeUnavailable or Overloaded.
        """
        ...

    async def evict(self, request_id: UUID) -> None:
        """Drop what is kept warm for a session that has ended; running executions end by themselves."""
        ...

    async def health(self) -> Mapping[str, object]:
        """Describe the runtime for people; `status` is "ok", "degraded" or "failing". Ends within a second."""
        ...


class TokenVerifier(Protocol):
    """Tells by whom a signed token was made out, and to whom."""

    async def verify(self, token: str) -> Principal:
        """Return the caller that the token names.

        Raises CredentialRefused, StorageUnavailable as long as the common time is not known, and KeysUnavailable as
        long as no key to verify with has ever been fetched.
        """
        ...


class ApiKeyRepository(Protocol):
    """Keeps API keys; any method may raise StorageUnavailable or Overloaded, as in SessionRepository."""

    async def add(self, key: ApiKey) -> None:
        """Store a new key durably. Adding the same key again changes nothing."""
        ...

    async def find(self, key_id: UUID) -> ApiKey | None:
        """Return the key, whatever its state, as all acknowledged writes left it; None when there is none."""
        ...

    async def revoke(self, key_id: UUID, now: datetime) -> ApiKey:
        """Revoke the key at `now` and return it; the first revocation stays. Raises ApiKeyNotFound."""
        ...

    async def page(self, owner: Owner | None, after: UUID | None, size: int) -> Page[ApiKey]:
        """Return at most `size` keys of one owner, or of all, newest first, older than `after`."""
        ...


@frozen
class RateCharge:
    """What calls of one kind of one owner cost since the last charge: `spent` in time, the first of them at `first_at`.

    A charge of nothing asks for the state alone.
    """

    owner: Owner
    policy: str
    first_at: datetime
    spent: timedelta


class RateLedger(Protocol):
    """Adds up what all controllers of one database admit. Any method may raise StorageUnavailable or Overloaded."""

    async def settle(self, charges: Sequence[RateCharge]) -> Sequence[datetime]:
        """Add the charges, and return for each the instant at which its owner's whole quota is there again.

        That instant is what it was, or `first_at` if that is later, and `spent` on top. Concurrent charges are all
        added. Owner and policy of the charges are distinct.
        """
        ...

    async def forget(self, full_before: datetime, after: tuple[Owner, str] | None) -> tuple[Owner, str] | None:
        """Remove owners whose whole quota was there before `full_before`, in a bounded number that follow `after`.

        Returns where to go on, None when all have been seen.
        """
        ...


@frozen
class OwnerUsage:
    """What an owner has: sessions that are live, and bytes that all their sessions take."""

    live_sessions: int
    stored_bytes: int


class UsageReader(Protocol):
    """Counts what owners have. Any method may raise StorageUnavailable or Overloaded."""

    async def usage(self, owners: Sequence[Owner], now: datetime) -> Sequence[OwnerUsage]:
        """Return what each owner has at `now`.

        A bounded number of an owner's newest sessions is looked at; older ones are not counted.
        """
        ...

    async def open_executions(self, owners: Sequence[Owner], now: datetime) -> Sequence[int]:
        """Return how many executions of each owner are open in all controllers, those past their deadline left out."""
        ...
