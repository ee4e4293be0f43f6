"""What is counted of sessions."""

from collections.abc import Iterator

from attrs import define, field
from typing_extensions import override

from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.sessions.initialized import Initialized
from domain.sessions.service import SessionRequest, SessionService
from domain.sessions.session import Session, SessionPatch
from entrypoints.telemetry.metrics.instruments import Counts
from entrypoints.telemetry.metrics.samples import Reading, counter

CHANGES = counter(
    "pglambda_session_operations_total",
    "Session operations that succeeded. Replayed responses do not count.",
    "operation",
)


@define
class CountedSessions(SessionService):
    """The use cases of sessions, counted once they have succeeded; what is only told again is not counted again."""

    _counts: Counts = field(factory=lambda: Counts(CHANGES), init=False)

    @override
    async def initialize(
        self, owner: Owner, request: SessionRequest, idempotency_key: IdempotencyKey | None = None
    ) -> Initialized:
        made = await super().initialize(owner, request, idempotency_key)
        if not made.replayed:
            self._counts.add("initialize")
        return made

    @override
    async def patch(self, ref: SessionRef, patch: SessionPatch, version: int | None) -> Session:
        session = await super().patch(ref, patch, version)
        self._counts.add("patch")
        return session

    @override
    async def close(self, ref: SessionRef) -> bool:
        closed = await super().close(ref)
        if closed:
            self._counts.add("close")
        return closed

    def read(self) -> Iterator[Reading]:
        """Yield the present figures."""
        yield self._counts.reading()
