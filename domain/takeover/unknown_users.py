"""The users whose sessions cannot return, because the origin does not have them."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from domain.takeover.mover_ports import OriginSessions, ReturnStore

_ROWS_MAX = 1000


async def unknown_users(origin: OriginSessions, returns: ReturnStore, now: datetime) -> AsyncIterator[tuple[UUID, str]]:
    """Yield each session that would return at `now`, and that the origin would refuse for its user, with the user.

    Raises what the ports raise.
    """
    after: UUID | None = None
    while ids := await returns.returnable(now, after, _ROWS_MAX):
        users = await returns.user_ids(ids)
        missing = frozenset(await origin.missing_users(set(users.values())) if users else ())
        for session_id in ids:
            if users.get(session_id) in missing:
                yield session_id, users[session_id]
        after = ids[-1]
