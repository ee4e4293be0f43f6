"""Metrics of session operations."""

from attrs import define, field
from typing_extensions import override

from domain.audit import Actor
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.sessions.ports import Initialized
from domain.sessions.requests import SessionRequest
from domain.sessions.service import SessionService
from domain.sessions.session import UNCONDITIONAL, Session, SessionCondition, SessionPatch
from entrypoints.telemetry.metrics.instruments import Counts, counter

_OPERATIONS = counter(
    "pglambda_session_operations_total",
    "Session operations that succeeded. Replayed responses do not count.",
    "operation",
)


@define
class CountedSessions(SessionService):
    """The session service with a count of the operations that succeeded; replays and repeated closes do not count."""

    operations: Counts = field(factory=lambda: Counts(_OPERATIONS), init=False)

    @override
    async def initialize(
        self, owner: Owner, request: SessionRequest, idempotency_key: IdempotencyKey | None = None
    ) -> Initialized:
        made = await super().initialize(owner, request, idempotency_key)
        if not made.replayed:
            self.operations.add("initialize")
        return made

    @override
    async def patch(self, ref: SessionRef, patch: SessionPatch, condition: SessionCondition) -> Session:
        session = await super().patch(ref, patch, condition)
        self.operations.add("patch")
        return session

    @override
    async def close(self, ref: SessionRef, condition: SessionCondition = UNCONDITIONAL) -> bool:
        closed = await super().close(ref, condition)
        if closed:
            self.operations.add("close")
        return closed

    @override
    async def purge(self, ref: SessionRef, actor: Actor, condition: SessionCondition = UNCONDITIONAL) -> None:
        await super().purge(ref, actor, condition)
        self.operations.add("purge")
