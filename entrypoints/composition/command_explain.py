"""The stories of ids, for a command that connects for one task."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from adapters.postgres.repositories.timeline import PostgresTimelineReader
from domain.idempotency import KEPT_FOR
from domain.timeline import RetentionTimes, TimelineReader
from entrypoints.composition.command_gateway import connected
from entrypoints.settings.settings import Settings

_TIMEOUT_S = 40.0
"""A session may have a long history; nobody waits for its count but an operator."""

_MORE_SAMPLES = 4
"""The shortest of some round trips tells the clock best."""


@asynccontextmanager
async def command_chronicler(settings: Settings) -> AsyncIterator[TimelineReader]:
    """Yield what reads the stories; raises as `connected` does."""
    async with connected(settings, _TIMEOUT_S) as database:
        for _ in range(_MORE_SAMPLES):
            await database.clock.measure()
        yield PostgresTimelineReader(database.gateway, database.statements, database.clock, KEPT_FOR)


def keeping(settings: Settings) -> RetentionTimes:
    """Return how long what has ended is kept."""
    return RetentionTimes(
        sessions=timedelta(seconds=settings.session_retention_seconds),
        history_days=settings.history_retention_days,
        lifetime_max=timedelta(seconds=settings.session_max_lifetime_seconds),
    )
