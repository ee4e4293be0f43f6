"""What callers do with sessions."""

import asyncio
from datetime import timedelta

import pytest

from domain.errors import RuntimeUnavailable, StorageUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.sessions.requests import SessionRequest
from domain.sessions.session import (
    SessionClosed,
)
from tests.unit.services.conftest import World


async def test_a_silent_syntax_check_ends_with_the_budget(world: World) -> None:
    class SilentRunner:
        async def check(self, *_):
            await asyncio.Event().wait()

    world.request_timeout_s = 0.01
    service = world.session_service
    service._runners = dict.fromkeys(Language, SilentRunner())
    with pytest.raises(RuntimeUnavailable, match="did not respond in time"):
        await service.initialize(ANONYMOUS, SessionRequest("python-x", "result = 1"))


async def test_a_silent_database_leaves_the_write_unknown(world: World) -> None:
    class SilentSessions:
        async def add(self, *_):
            await asyncio.Event().wait()

    world.request_timeout_s = 0.01
    service = world.session_service
    service._sessions = SilentSessions()
    with pytest.raises(StorageUnavailable) as caught:
        await service.initialize(ANONYMOUS, SessionRequest("python-x", "result = 1"))
    assert caught.value.details == {"stored": "unknown"}


async def test_a_closed_session_is_gone_and_its_workers_too(world: World) -> None:
    ref = await world.session()
    assert await world.session_service.close(ref)
    world.clock.advance(timedelta(seconds=1))
    assert not await world.session_service.close(ref)
    await world.tasks.drain(timeout_s=5)
    with pytest.raises(SessionClosed):
        await world.session_service.get(ref)
    with pytest.raises(SessionClosed):
        await world.history_service.page(ref, None, 10)
    assert ref.session_id in world.runner.evicted
    assert await world.session_service.script(ref) is None
