"""Hidden sessions: each owner has one for each version of a function that it calls by name."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from attrs import define, field

from domain.clock import Clock, IdGenerator
from domain.concurrency.bounded_cache import BoundedCache
from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable
from domain.functions.function import Function
from domain.functions.ports import FunctionLookup, FunctionRepository
from domain.grants.grants import Grants
from domain.grants.service import FunctionGrants, GrantService, ScriptKind
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef, bucket_bits
from domain.limits.ports import Quotas
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
class FunctionSessions:
    """Opens hidden sessions, and makes calls in them.

    A session is opened with the first call, and lives as long as calls renew it. Names are resolved as for sessions,
    and may name a version (`python-adder@3`). Every method may raise InvalidLanguageTitle or LanguageNotServed,
    FunctionNotFound, StorageUnavailable, Overloaded, or what GrantService raises.
    """

    _clock: Clock
    _ids: IdGenerator
    _functions: FunctionRepository
    _hidden: HiddenSessionRepository
    _mapping: LanguageMapping
    _policy: SessionPolicy
    _quotas: Quotas
    _grants: GrantService = field(factory=GrantService)
    _current: BoundedCache[tuple[Owner, LanguageTitle], SessionRef] = field(factory=_memory, init=False)
    """Sessions of versions that were current; the begin of a call finds out whether they still are."""
    _exact: BoundedCache[tuple[Owner, UUID, int, int | None], SessionRef] = field(factory=_memory, init=False)

    def budget(self) -> Budget:
        """Return the time of one call."""
        return Budget(self._policy.request_timeout_s)

    def lookup(self, owner: Owner, name: str) -> FunctionLookup:
        """Return the look-up of a name: the owner's own function, or else the shared one."""
        return FunctionLookup.usable(owner, *self._mapping.resolve_pinned(name))

    async def in_session(
        self,
        owner: Owner,
        name: str,
        idempotency_key: IdempotencyKey | None,
        call: Callable[[SessionRef, Budget], Awaitable[Result]],
        beside: UUID | None = None,
    ) -> Result:
        """Make a call in the hidden session of the version that is current now, or that holds the key.

        With `beside`, the session is in the bucket of that id. Raises FunctionVersionNotFound, UpdateConflict, and what
        the call raises of a session that lives.
        """
        budget, lookup = self.budget(), self.lookup(owner, name)
        return await self.in_exact(lookup, idempotency_key, budget, lambda ref: call(ref, budget), beside)

    async def in_current(
        self, lookup: FunctionLookup, budget: Budget, call: Callable[[SessionRef], Awaitable[Result]]
    ) -> Result:
        """Make a call that itself refuses a version that is not current any more, by VersionReplaced.

        So the version is not looked up before. Raises QuotaReached, UpdateConflict if the session is closed again and
        again meanwhile, and what the call raises of a session that lives.
        """
        place = lookup.owner, lookup.language_title
        for _ in range(_ATTEMPTS):
            ref = self._current.get(place) or await self._opened_current(lookup, budget)
            try:
                return await call(ref)
            except (SessionNotFound, SessionExpired, SessionClosed, VersionReplaced):
                self._current.drop(place)
        raise UpdateConflict

    async def in_exact(
        self,
        lookup: FunctionLookup,
        idempotency_key: IdempotencyKey | None,
        budget: Budget,
        call: Callable[[SessionRef], Awaitable[Result]],
        beside: UUID | None = None,
    ) -> Result:
        """Find the version first; with a key, a session that holds the key comes before the version's own.

        Raises as `in_session`.
        """
        pinned = await _before_run(budget, self._functions.callable(lookup))
        if idempotency_key is not None:
            now = self._clock.now()
            holding = self._hidden.key_holder(
                lookup.owner, lookup.language_title, pinned.function_id, idempotency_key, now
            )
            holder = await _before_run(budget, holding)
            if holder is not None:
                return await call(holder)
        place = lookup.owner, pinned.function_id, pinned.version, None if beside is None else bucket_bits(beside)
        for _ in range(_ATTEMPTS):
            ref = self._exact.get(place) or await self._opened(lookup, budget, beside)
            self._exact.put(place, ref)
            try:
                return await call(ref)
            except (SessionNotFound, SessionExpired, SessionClosed):
                self._exact.drop(place)
        raise UpdateConflict

    async def of(self, owner: Owner, name: str, budget: Budget) -> Sequence[SessionRef]:
        """Return the owner's hidden sessions of a function, of all its versions or of the one that is named."""
        lookup = self.lookup(owner, name)
        finding = self._functions.find(FunctionLookup.usable(owner, lookup.language_title))
        function = await budget.spend(finding, StorageUnavailable)
        refs = self._hidden.refs(owner, lookup.language_title, function.function_id, lookup.version)
        return await budget.spend(refs, StorageUnavailable)

    async def _opened_current(self, lookup: FunctionLookup, budget: Budget) -> SessionRef:
        ref = await self._opened(lookup, budget)
        self._current.put((lookup.owner, lookup.language_title), ref)
        return ref

    async def _opened(self, lookup: FunctionLookup, budget: Budget, beside: UUID | None = None) -> SessionRef:
        found = await _before_run(budget, self._functions.find(lookup))
        function, owner = found.require_registered(), lookup.owner
        stored = self._hidden.refs(owner, function.language_title, function.function_id, function.version)
        if await _before_run(budget, stored):  # its bytes count already
            return await _before_run(budget, self._open(owner, function, beside))
        size = len(function.definition.script.source) + len(_OF_NAME.context) + len(_OF_NAME.metadata)
        await _before_run(budget, self._quotas.require_capacity(owner, size, hidden=True))
        with self._quotas.adding(owner, size, hidden=True):
            return await _before_run(budget, self._open(owner, function, beside))

    async def _open(self, owner: Owner, function: Function, beside: UUID | None) -> SessionRef:
        grants = await self._granted(owner, function)
        now, made, title = self._clock.now(), function.definition, str(function.language_title)
        new = self._ids.new_placed(now, owner, title) if beside is None else self._ids.new(now, beside)
        ref = SessionRef(owner, new)
        session = self._policy.open(
            ref, now, function.language_title, made, _OF_NAME, function, hidden=True, grants=grants
        )
        return await self._hidden.open(session, made.script)

    async def _granted(self, owner: Owner, function: Function) -> Grants | None:
        grants = function.definition.grants
        if grants is None:
            return None
        kind = ScriptKind(function.language_title.language, function.definition.convention)
        return await self._grants.for_session(owner, kind, None, FunctionGrants(grants, function.pinned.pin))


async def _before_run(budget: Budget, work: Awaitable[Result]) -> Result:
    """Await work that precedes the execution: if the database fails, nothing was executed, and nothing is lost."""
    try:
        return await budget.spend(work, StorageUnavailable)
    except StorageUnavailable as error:
        raise error.restated(stored="no", executed="no") from error
