"""What schedules execute: sessions, and functions by name."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from attrs import frozen

from domain.clock import IdGenerator
from domain.concurrency.budget import Budget
from domain.executions.function_sessions import FunctionSessions
from domain.files.asked import nothing_to_collect
from domain.functions.params import ParamsCheck
from domain.functions.ports import FunctionLookup, FunctionRepository
from domain.grants.grants import Grants
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.queue.submission import require_callback
from domain.schedules.plan import SchedulePlan, SessionTarget
from domain.scripts.language import Language, LanguageMapping
from domain.sessions.ports import SessionRepository
from domain.sessions.session import Session
from domain.webhooks.ports import WebhookRepository

Result = TypeVar("Result")


@frozen
class ScheduleTargets:
    """Finds targets, and judges whether they can be executed. Methods may raise StorageUnavailable or Overloaded."""

    _sessions: SessionRepository
    _functions: FunctionRepository
    _function_sessions: FunctionSessions
    _webhooks: WebhookRepository
    _mapping: LanguageMapping
    _params: ParamsCheck

    def new_id(self, owner: Owner, plan: SchedulePlan, now: datetime, ids: IdGenerator) -> UUID:
        """Return an id for a schedule: in the bucket of its session, or of the sessions of its function.

        Raises InvalidLanguageTitle or LanguageNotServed.
        """
        if isinstance(plan.target, SessionTarget):
            return ids.new(now, plan.target.session_id)
        title, _ = self._mapping.resolve_pinned(plan.target.name)
        return ids.new_placed(now, owner, str(title))

    async def require(self, owner: Owner, plan: SchedulePlan, now: datetime) -> Language:
        """Return the language of a target that can be executed as planned.

        Raises InvalidLanguageTitle, LanguageNotServed, FunctionNotFound, FunctionVersionNotFound, SessionNotFound,
        SessionExpired, SessionClosed, ParamsRefused, PinnedVersionNotFound, SchemaUnusable, CallbackNotFound, or
        InvalidRequest if files are to be collected, and the target has none.
        """
        await require_callback(self._webhooks, owner, plan.options)
        if isinstance(plan.target, SessionTarget):
            session = await self._fitting(SessionRef(owner, plan.target.session_id), plan)
            session.require_live(now)
            return session.language_title.language
        title, version = self._mapping.resolve_pinned(plan.target.name)
        lookup = FunctionLookup.usable(owner, title, version)
        pinned = await self._functions.callable(lookup)
        await self._params.require(pinned, plan.params)
        if plan.options.files is not None:
            _require_files(plan, (await self._functions.find(lookup)).definition.grants)
        return title.language

    async def language(self, owner: Owner, plan: SchedulePlan) -> Language:
        """Return the language of a target; raises InvalidLanguageTitle, LanguageNotServed or SessionNotFound."""
        if isinstance(plan.target, SessionTarget):
            session = await self._sessions.get(SessionRef(owner, plan.target.session_id))
            return session.language_title.language
        return self._mapping.resolve_pinned(plan.target.name)[0].language

    async def in_session(
        self,
        owner: Owner,
        plan: SchedulePlan,
        call: Callable[[SessionRef], Awaitable[Result]],
        beside: UUID,
        key: IdempotencyKey | None = None,
    ) -> Result:
        """Make a call in the session of a target, or in the one that holds the key, if the params fit.

        A session of a function is opened in the bucket of the schedule `beside`.

        Raises what `require` raises of the target, and what the call raises of a session that lives. A webhook that is
        gone holds nothing up.
        """

        async def checked(ref: SessionRef, _: Budget | None = None) -> Result:
            await self._fitting(ref, plan)
            return await call(ref)

        if isinstance(plan.target, SessionTarget):
            return await checked(SessionRef(owner, plan.target.session_id))
        return await self._function_sessions.in_session(owner, plan.target.name, key, checked, beside)

    async def _fitting(self, ref: SessionRef, plan: SchedulePlan) -> Session:
        """Return a session that takes the params and has the files; whether it lives is for the caller to judge."""
        session = await self._sessions.get(ref)
        if session.pinned is not None:
            await self._params.require(session.pinned, plan.params)
        _require_files(plan, session.grants)
        return session


def _require_files(plan: SchedulePlan, grants: Grants | None) -> None:
    """Raise InvalidRequest if files are to be collected, and the grants have none."""
    if plan.options.files is not None and (grants is None or grants.files is None):
        raise nothing_to_collect()
