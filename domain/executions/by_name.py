"""The use case of calls by name: a function is executed in a hidden session of its caller."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from attrs import define, field

from domain.clock import Clock, IdGenerator
from domain.concurrency.bounded_cache import BoundedCache
from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable
from domain.executions.execution import Executed, Execution
from domain.executions.ports import ExecutionFilter, ExecutionRepository
from domain.executions.service import ExecutionService
from domain.functions.function import Function
from domain.functions.ports import FunctionLookup, FunctionRepository
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.limits.ports import Quotas
from domain.paging import Page
from domain.scripts.language import LanguageMapping, LanguageTitle
from domain.sessions.ports import HiddenSessionRepository
from domain.sessions.requests import SessionPolicy, SessionRequest
from domain.sessions.session import (
    Renewal,
    SessionClosed,
    SessionExpired,
    SessionNotFound,
    UpdateConflict,
    VersionReplaced,
)

Result = TypeVar("Result")

_ATTEMPTS = 3
"""Begins of one call at most: the owner may close the session between its opening and the begin."""

_REMEMBERED_MAX = 10_000
_OF_NAME = SessionRequest(None, renewal=Renewal.SLIDING)


def _memory() -> "BoundedCache[Any, SessionRef]":
    return BoundedCache(_REMEMBERED_MAX, lambda _: 1)


@define
class FunctionCalls:
    """Executes functions by name, and reads the history of these calls.

    Each owner has one hidden session for each version that it calls. It is opened with the first call, and lives as
    long as calls renew it. Names are resolved as for sessions, and may name a version (`python-adder@3`): every method
    may raise InvalidLanguageTitle or LanguageNotServed, FunctionNotFound, StorageUnavailable or Overloaded.
    """

    _clock: Clock
    _ids: IdGenerator
    _functions: FunctionRepository
    _hidden: HiddenSessionRepository
    _service: ExecutionService
    _executions: ExecutionRepository
    _mapping: LanguageMapping
    _policy: SessionPolicy
    _quotas: Quotas
    _current: BoundedCache[tuple[Owner, LanguageTitle], SessionRef] = field(factory=_memory, init=False)
    """Sessions of versions that were current; the begin of a call finds out whether they still are."""
    _exact: BoundedCache[tuple[Owner, UUID, int], SessionRef] = field(factory=_memory, init=False)

    async def execute(
        self, owner: Owner, name: str, params: JsonText, idempotency_key: IdempotencyKey | None = None
    ) -> Executed:
        """Run the function once with `params`: the owner's own, or else the shared one.

        A version that was registered before the call is used by it. An idempotency key belongs to the owner and the
        function, whatever version the first call with it ran. Raises FunctionVersionNotFound, QuotaReached, what
        ExecutionService.execute raises of a session that lives, or UpdateConflict if the session is closed again and
        again meanwhile.
        """
        budget = Budget(self._policy.request_timeout_s)
        title, version = self._mapping.resolve_pinned(name)
        lookup = FunctionLookup.usable(owner, title, version)
        if version is not None or idempotency_key is not None:
            return await self._call_exactly(
                lookup, idempotency_key, budget, lambda ref: self._service.execute(ref, params, idempotency_key, budget)
            )
        for _ in range(_ATTEMPTS):
            ref = self._current.get((owner, title)) or await self._opened_current(lookup, budget)
            try:
                return await self._service.execute(ref, params, budget=budget, current_only=True)
            except (SessionNotFound, SessionExpired, SessionClosed, VersionReplaced):
                self._current.drop((owner, title))
        raise UpdateConflict

    async def in_session(
        self,
        owner: Owner,
        name: str,
        idempotency_key: IdempotencyKey | None,
        call: Callable[[SessionRef, Budget], Awaitable[Result]],
    ) -> Result:
        """Make a call in the hidden session of the version that is current now, or that holds the key.

        Raises FunctionVersionNotFound, UpdateConflict, and what the call raises of a session that lives.
        """
        budget = Budget(self._policy.request_timeout_s)
        title, version = self._mapping.resolve_pinned(name)
        lookup = FunctionLookup.usable(owner, title, version)
        return await self._call_exactly(lookup, idempotency_key, budget, lambda ref: call(ref, budget))

    async def history(
        self, owner: Owner, name: str, after: UUID | None, size: int, wanted: ExecutionFilter
    ) -> Page[Execution]:
        """Return a page of the owner's calls of a function by name, of all versions or of the one that is named.

        Calls of a hidden session that was closed or removed are not listed. A deactivated function has its history too.
        """
        budget = Budget(self._policy.request_timeout_s)
        title, version = self._mapping.resolve_pinned(name)
        finding = self._functions.find(FunctionLookup.usable(owner, title))
        function = await budget.spend(finding, StorageUnavailable)
        refs = await budget.spend(self._hidden.refs(owner, function.function_id, version), StorageUnavailable)
        reading = self._executions.page_of(owner, [ref.session_id for ref in refs], after, size, wanted)
        return await budget.spend(reading, StorageUnavailable)

    async def _call_exactly(
        self,
        lookup: FunctionLookup,
        idempotency_key: IdempotencyKey | None,
        budget: Budget,
        call: Callable[[SessionRef], Awaitable[Result]],
    ) -> Result:
        """Find the version first; with a key, a session that holds the key comes before the version's own."""
        pinned = await _before_run(budget, self._functions.callable(lookup))
        if idempotency_key is not None:
            now = self._clock.now()
            holding = self._hidden.key_holder(lookup.owner, pinned.function_id, idempotency_key, now)
            holder = await _before_run(budget, holding)
            if holder is not None:
                return await call(holder)
        place = lookup.owner, pinned.function_id, pinned.version
        for _ in range(_ATTEMPTS):
            ref = self._exact.get(place) or await self._opened(lookup, budget)
            self._exact.put(place, ref)
            try:
                return await call(ref)
            except (SessionNotFound, SessionExpired, SessionClosed):
                self._exact.drop(place)
        raise UpdateConflict

    async def _opened_current(self, lookup: FunctionLookup, budget: Budget) -> SessionRef:
        ref = await self._opened(lookup, budget)
        self._current.put((lookup.owner, lookup.language_title), ref)
        return ref

    async def _opened(self, lookup: FunctionLookup, budget: Budget) -> SessionRef:
        found = await _before_run(budget, self._functions.find(lookup))
        function, owner = found.require_registered(), lookup.owner
        stored = self._hidden.refs(owner, function.function_id, function.version)
        if await _before_run(budget, stored):  # its bytes count already
            return await _before_run(budget, self._open(owner, function))
        size = len(function.definition.script.source) + len(_OF_NAME.context) + len(_OF_NAME.metadata)
        await _before_run(budget, self._quotas.require_capacity(owner, size, hidden=True))
        with self._quotas.adding(owner, size, hidden=True):
            return await _before_run(budget, self._open(owner, function))

    async def _open(self, owner: Owner, function: Function) -> SessionRef:
        now, made = self._clock.now(), function.definition
        ref = SessionRef(owner, self._ids.new(now))
        session = self._policy.open(ref, now, function.language_title, made, _OF_NAME, function, hidden=True)
        return await self._hidden.open(session, made.script)


async def _before_run(budget: Budget, work: Awaitable[Result]) -> Result:
    """Await work that precedes the execution: if the database fails, nothing was executed, and nothing is lost."""
    try:
        return await budget.spend(work, StorageUnavailable)
    except StorageUnavailable as error:
        raise StorageUnavailable.of(error.fault, stored="no", executed="no") from error
