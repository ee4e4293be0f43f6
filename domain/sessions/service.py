"""The use cases of sessions: initialize, read, change, close and list them."""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from attrs import define, field

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.budget import Budget
from domain.errors import InvalidRequest, Problem, StorageUnavailable, commit_unknown
from domain.functions.function import Definition, Function
from domain.functions.ports import FunctionLookup, FunctionRepository
from domain.grants.grants import Grants, asked_syntax
from domain.grants.service import FunctionGrants, GrantService, ScriptKind, with_form
from domain.idempotency import IdempotencyKey, Repeatable
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.limits.ports import Quotas, Unlimited
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageMapping, LanguageTitle
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import Script
from domain.scripts.syntax_check import parsed, warnings_of
from domain.sessions.ports import Initialized, KeyedSessionRepository, SessionFilter, SessionPurger, SessionRepository
from domain.sessions.requests import ListRequest, SessionList, SessionPolicy, SessionRequest
from domain.sessions.session import (
    UNCONDITIONAL,
    Session,
    SessionCondition,
    SessionNotFound,
    SessionPatch,
    Status,
)

AfterClose = Callable[[SessionRef], Coroutine[Any, Any, None]]
"""Ends in the background what waits for a session that was closed."""


@define
class SessionService:
    """The use cases of sessions. Every method may raise StorageUnavailable or Overloaded."""

    _clock: Clock
    _ids: IdGenerator
    _sessions: SessionRepository
    _keyed: KeyedSessionRepository
    _purger: SessionPurger
    _runners: Mapping[Language, ScriptRunner]
    _mapping: LanguageMapping
    _policy: SessionPolicy
    _tasks: BackgroundTasks
    _functions: FunctionRepository
    _end_queued: AfterClose
    _quotas: Quotas = field(factory=Unlimited)
    _grants: GrantService = field(factory=GrantService)

    async def initialize(
        self, owner: Owner, request: SessionRequest, idempotency_key: IdempotencyKey | None = None
    ) -> Initialized:
        """Check the script's syntax, and store a new session.

        A repeated call with the same idempotency key returns the first response and makes no session; another call with
        the key raises IdempotencyConflict. Raises InvalidLanguageTitle, LanguageNotServed, FunctionNotFound,
        FunctionVersionNotFound, InvalidRequest (a version beside a script, or a context that is no object, which only
        scripts of the origin take), FieldTooLarge, QuotaReached, ScriptSyntaxError, RuntimeUnavailable, or what
        GrantService raises.
        """
        budget = self._budget()
        if idempotency_key is not None:
            stored = self._keyed.initialized(owner, idempotency_key, self._clock.now())
            first = await budget.spend(stored, StorageUnavailable)
            if first is not None:
                return first
        title, version = self._title(request)
        function = await self._function(owner, title, version, request, budget)
        definition = function.definition if function else self._own_definition(request)
        script = definition.script
        _require_suitable(request.context, definition.convention)
        size = len(script.source) + len(request.context) + len(request.metadata)
        await budget.spend(self._quotas.require_capacity(owner, size), StorageUnavailable)
        with self._quotas.adding(owner, size):
            grants = await self._granted(owner, title, request, function, definition, budget)
            syntax, convention = asked_syntax(grants), definition.convention
            checking = self._runners[title.language].check(title.language, script, owner, convention, syntax)
            form = await parsed(checking, title.language, budget)
            grants = with_form(grants, ScriptKind(title.language, convention), form)
            now = self._clock.now()
            key = None if idempotency_key is None else idempotency_key.value
            ref = SessionRef(owner, self._ids.new_placed(now, owner, key))
            session = self._policy.open(ref, now, title, definition, request, function, grants=grants)
            initialized = Initialized(
                session.ref,
                title,
                session.expires_at,
                script.hash,
                syntax_checked=form is not None,
                warnings=warnings_of(form, convention),
                grants=grants,
            )
            if idempotency_key is not None:
                return await self._add_keyed(initialized, session, script, idempotency_key, budget)
            await budget.spend(self._sessions.add(session, script), commit_unknown)
            return initialized

    def language(self, request: SessionRequest) -> Language:
        """Return the language of a session to initialize; raises InvalidLanguageTitle or LanguageNotServed."""
        return self._title(request)[0].language

    async def require_capacity(self, owner: Owner) -> None:
        """Raise QuotaReached if the owner can have no further session."""
        await self._budget().spend(self._quotas.require_capacity(owner, 0), StorageUnavailable)

    async def get(self, ref: SessionRef) -> Session:
        """Return a live session; raises SessionNotFound, SessionExpired or SessionClosed."""
        session = await self._budget().spend(self._sessions.get(ref), StorageUnavailable)
        session.require_live(self._clock.now())
        return session

    async def script(self, ref: SessionRef) -> Script | None:
        """Return the session's script, None if it was emptied; raises SessionNotFound."""
        return await self._budget().spend(self._sessions.script(ref), StorageUnavailable)

    async def patch(self, ref: SessionRef, patch: SessionPatch, condition: SessionCondition) -> Session:
        """Replace fields of a live session that fulfils the condition.

        Raises SessionNotFound, SessionExpired, SessionClosed, VersionMismatch, UpdateConflict, or InvalidRequest if it
        would shorten the lifetime.
        """
        now = self._clock.now()

        def change(session: Session) -> Session:
            session.require_live(now)
            condition.require(session)
            return session.patch(patch, now)

        return await self._budget().spend(self._sessions.update(ref, change), commit_unknown)

    async def close(self, ref: SessionRef, condition: SessionCondition = UNCONDITIONAL) -> bool:
        """Close and empty the session, and return whether it was open; closing it again changes nothing.

        The condition applies until the session is emptied. Raises SessionNotFound, VersionMismatch or UpdateConflict.
        """
        now = self._clock.now()
        was_open = False

        def change(session: Session) -> Session:
            nonlocal was_open
            was_open = session.status(now) is Status.ACTIVE
            if session.script_hash is not None:
                condition.require(session)
            return session.close(now)

        session = await self._budget().spend(self._sessions.update(ref, change), commit_unknown)
        if was_open and not session.hidden:
            self._quotas.closed(session.ref.owner)
        self._tasks.spawn(self._runners[session.language_title.language].evict(ref.session_id))
        self._tasks.spawn(self._end_queued(session.ref))
        return was_open

    def kept_until(self) -> datetime:
        """Return until when executions of a session that is closed now may be stored, with their responses.

        The history is kept by days, and the response under an idempotency key for a day, which is no longer.
        """
        tomorrow = self._clock.now().date() + timedelta(days=1)
        return datetime.combine(tomorrow, time(), UTC) + timedelta(days=self._policy.history_days)

    async def purge(self, ref: SessionRef, actor: Actor, condition: SessionCondition = UNCONDITIONAL) -> None:
        """Close the session, and erase its executions and the responses to its calls; the act is recorded.

        A session that was removed is purged too, if anything is left of it. Repeating the call is safe, and continues
        one that was interrupted. Raises SessionNotFound, VersionMismatch or UpdateConflict.
        """
        with suppress(SessionNotFound):
            await self.close(ref, condition)
        act = new_act(self._clock, self._ids, actor, ActName.SESSIONS_PURGE)
        await self._budget().spend(self._purger.purge(ref, act), commit_unknown)

    async def list(self, request: ListRequest) -> SessionList:
        """Return a page of the owner's sessions."""
        judged_at = request.judged_at or self._clock.now()
        wanted = SessionFilter(judged_at, request.status, request.language, request.text, request.metadata)
        reading = self._sessions.page(request.owner, wanted, request.after, request.size, contexts=request.contexts)
        return SessionList(await self._budget().spend(reading, StorageUnavailable), judged_at)

    async def _add_keyed(
        self,
        initialized: Initialized,
        session: Session,
        script: Script,
        idempotency_key: IdempotencyKey,
        budget: Budget,
    ) -> Initialized:
        """Store the session under its key; after any failure the call may be repeated with the key."""
        with Repeatable(idempotency_key):
            adding = self._keyed.initialize(initialized, session, script, idempotency_key)
            return await budget.spend(adding, commit_unknown)

    def _budget(self) -> Budget:
        return Budget(self._policy.request_timeout_s)

    def _title(self, request: SessionRequest) -> tuple[LanguageTitle, int | None]:
        named = request.language_title
        return (named, None) if isinstance(named, LanguageTitle) else self._mapping.resolve_pinned(named)

    async def _function(
        self, owner: Owner, title: LanguageTitle, version: int | None, request: SessionRequest, budget: Budget
    ) -> Function | None:
        """Return the function to which the session is pinned; None if the request has a script of its own."""
        if request.script_content is None:
            lookup = FunctionLookup.usable(owner, title, version)
            return (await budget.spend(self._functions.find(lookup), StorageUnavailable)).require_registered()
        if version is not None:
            problem = Problem("/headers/Language-Title", "must not name a version if there is a script_content")
            raise InvalidRequest((problem,))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
        return None

    async def _granted(  # noqa: PLR0913, PLR0917  # what the judgement is about
        self,
        owner: Owner,
        title: LanguageTitle,
        request: SessionRequest,
        function: Function | None,
        definition: Definition,
        budget: Budget,
    ) -> Grants | None:
        if request.grants is None and definition.grants is None:
            return None
        granted = None if function is None else FunctionGrants(definition.grants, function.pinned.pin)
        kind = ScriptKind(title.language, definition.convention)
        return await budget.spend(self._grants.for_session(owner, kind, request.grants, granted), StorageUnavailable)

    def _own_definition(self, request: SessionRequest) -> Definition:
        assert request.script_content is not None, "without it there is a function"
        script = Script.of(request.script_content, self._policy.script_size_max)
        return Definition(script, convention=request.convention)


@define
class SessionLanguages:
    """Remembers the languages of sessions, which never change; when full, it forgets the oldest."""

    _sessions: SessionRepository
    _lookup_timeout_s: float = 0.5
    _remembered_max: int = 10_000
    _known: dict[UUID, tuple[Owner, Language]] = field(factory=dict, init=False)

    async def of(self, ref: SessionRef) -> Language:
        """Return the session's language; raises SessionNotFound, StorageUnavailable or Overloaded."""
        owner, language = self._known.get(ref.session_id, (None, None))
        if owner == ref.owner and language is not None:
            return language
        session = await Budget(self._lookup_timeout_s).spend(self._sessions.get(ref), StorageUnavailable)
        while len(self._known) >= self._remembered_max:
            del self._known[next(iter(self._known))]
        self._known[ref.session_id] = session.ref.owner, session.language_title.language
        return session.language_title.language


def _require_suitable(context: JsonText, convention: Convention) -> None:
    if convention is not Convention.ORIGIN and not context.startswith("{"):
        message = f"must be an object under the calling convention {convention}"
        raise InvalidRequest((Problem("/context", message),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
