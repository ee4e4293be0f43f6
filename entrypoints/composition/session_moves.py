"""The parts of the commands that move sessions, and of the front's first touch."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from uuid import UUID

from attrs import frozen

from adapters.origin.database import OriginDatabase, OriginDatabaseOptions
from adapters.origin.repairs import PostgresOriginRepairs
from adapters.origin.sessions import OriginConnections, PostgresOriginSessions
from adapters.origin.statements import load_origin_statements
from adapters.postgres.repositories.session_returns import PostgresReturnStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from domain.audit import Act, ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.takeover.cached_origin import CachedOriginSessions, MissingRows
from domain.takeover.claim import Claim
from domain.takeover.fence import Fence
from domain.takeover.lost_origin import LostOrigin
from domain.takeover.mover import SessionMover
from domain.takeover.mover_ports import OriginSessions
from domain.takeover.moving import InboundSession, Takeover
from domain.takeover.moving_runs import MoveLimits, MoveRun, Tell
from domain.takeover.receiving import received
from domain.takeover.service import TakeoverService
from domain.takeover.source import SourceAddress
from domain.takeover.source_session import AcceptedSession, SourceSession, TakeoverPolicy
from entrypoints.composition.takeover import origin_cache


@frozen
class TakeoverParts:
    """What the commands that move sessions are made of; the database of this service must be open."""

    store: PostgresTakeoverStore
    returns: PostgresReturnStore
    clock: Clock
    ids: IdGenerator
    actor: Actor
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def new_act(self, name: ActName) -> Act:
        """Return an act of this command that happens now."""
        return new_act(self.clock, self.ids, self.actor, name)

    def service(self, origin: OriginSessions) -> TakeoverService:
        """Return the use cases of the stages."""
        facts = {"origin": "lost"} if isinstance(origin, LostOrigin) else {}
        return TakeoverService(origin, self.store, self.returns, self.clock, self.new_act, self.sleep, facts)

    def lost_origin(self, takeover: Takeover) -> LostOrigin:
        """Return what stands for an origin that is lost."""
        return LostOrigin(self.store, self.clock, Fence.of(takeover.takeover_id))

    def claim(self, holder: str, is_dead: Callable[[str], bool]) -> Claim:
        """Return the claim of this command."""
        return Claim(self.returns, self.clock, time.monotonic_ns, holder, is_dead)

    def run(self, origin: OriginSessions, takeover: Takeover, claim: Claim, tell: Tell, limits: MoveLimits) -> MoveRun:
        """Return a run of a command that moves sessions."""
        mover, timing = self.mover(origin, takeover), (self.clock, time.monotonic_ns, self.sleep)
        return MoveRun(mover, origin, self.store, self.returns, claim, *timing, tell, limits)

    def mover(self, origin: OriginSessions, takeover: Takeover) -> SessionMover:
        """Return what moves sessions of a takeover."""
        return SessionMover(origin, self.store, self.returns, self.clock, Fence.of(takeover.takeover_id))


@asynccontextmanager
async def origin_sessions(
    address: SourceAddress,
    takeover_id: UUID,
    policy: TakeoverPolicy,
    *,
    makes_users: bool = False,
    connections: int = 1,
) -> AsyncIterator[OriginSessions]:
    """Yield the sessions of the origin as one takeover hides them; connections are made when they are needed.

    Raises SourceRefused if the address has a Redis that cannot be used.
    """
    statements, options = load_origin_statements(), OriginDatabaseOptions(address)
    databases = [OriginDatabase(options, statements.connection) for _ in range(connections)]
    convert = partial(_converted, policy)
    async with AsyncExitStack() as stack:
        pool = OriginConnections(databases)
        stack.push_async_callback(pool.close)
        fence = Fence.of(takeover_id)
        rows = PostgresOriginSessions(pool, statements, fence, convert, makes_users)
        if address.cache_url is None:
            yield rows
            return
        cache = await stack.enter_async_context(origin_cache(address.cache_url))
        repairs = PostgresOriginRepairs(pool, address.schema, statements.moves)
        missing = MissingRows(repairs, cache, lambda row, now: convert(row, now) is not None)
        yield CachedOriginSessions(rows, repairs, cache, missing, fence)


def _converted(policy: TakeoverPolicy, row: SourceSession, now: datetime) -> InboundSession | None:
    found = received(row, policy, now)
    return found.inbound if isinstance(found, AcceptedSession) else None
