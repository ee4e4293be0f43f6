"""What callers do with sessions."""

import asyncio
from datetime import timedelta

import pytest

from domain.errors import FieldTooLarge, RuntimeUnavailable, StorageUnavailable
from domain.functions.function import FunctionNotFound
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.language import InvalidLanguageTitle, Language
from domain.scripts.script import ScriptSyntaxError
from domain.sessions.service import ListRequest, SessionRequest
from domain.sessions.session import (
    SessionClosed,
    SessionExpired,
    SessionNotFound,
    SessionPatch,
    Status,
    VersionMismatch,
)
from tests.unit.services.conftest import World


async def test_an_initialized_session_is_found(world: World) -> None:
    request = SessionRequest("python-x", "result = 1", context=JsonText('{"a": 1}'), ttl_seconds=7)
    initialized = await world.session_service.initialize(ANONYMOUS, request)
    session = await world.session_service.get(initialized.ref)
    assert (initialized.language_title, initialized.expires_at) == (session.language_title, session.expires_at)
    assert (initialized.script_hash, initialized.syntax_checked) == (session.script_hash, True)
    assert (session.context, session.ttl_seconds, session.created_at) == ('{"a": 1}', 7, world.clock.now())
    script = await world.session_service.script(session.ref)
    assert script is not None
    assert script.source == "result = 1"


async def test_a_script_that_does_not_parse_makes_no_session(world: World) -> None:
    with pytest.raises(ScriptSyntaxError):
        await world.session("result = = 1")
    assert not world.store.sessions


async def test_a_wrong_title_is_refused_before_the_syntax_check(world: World) -> None:
    with pytest.raises(InvalidLanguageTitle):
        await world.session_service.initialize(ANONYMOUS, SessionRequest("python", "result = = 1"))


async def test_without_a_script_there_must_be_a_function(world: World) -> None:
    with pytest.raises(FunctionNotFound):
        await world.session_service.initialize(ANONYMOUS, SessionRequest("python-x"))


async def test_a_script_over_its_size_is_refused(world: World) -> None:
    with pytest.raises(FieldTooLarge):
        await world.session("#" * 1001)


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


async def test_an_expired_session_and_an_unknown_one_have_their_own_errors(world: World) -> None:
    ref = await world.session()
    world.let_expire()
    with pytest.raises(SessionExpired):
        await world.session_service.get(ref)
    with pytest.raises(SessionNotFound):
        await world.session_service.get(SessionRef(Owner("somebody-else"), ref.session_id))


async def test_a_patch_applies_only_at_the_required_version(world: World) -> None:
    ref = await world.session()
    patched = await world.session_service.patch(ref, SessionPatch(context=JsonText('{"b": 2}')), version=1)
    assert (patched.version, patched.context) == (2, '{"b": 2}')
    with pytest.raises(VersionMismatch):
        await world.session_service.patch(ref, SessionPatch(context=JsonText("{}")), version=1)
    assert await world.session_service.get(ref) == patched


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


async def test_the_history_of_an_expired_session_stays_readable(world: World) -> None:
    ref = await world.session()
    executed = await world.execution_service.execute(ref, JsonText('{"a": 1}'))
    world.let_expire()
    page = await world.history_service.page(ref, None, 10)
    assert [row.execution_id for row in page.items] == [executed.execution_id]


async def test_later_pages_are_judged_at_the_instant_of_the_first(world: World) -> None:
    ref = await world.session()
    service = world.session_service
    first = await service.list(ListRequest(ANONYMOUS, 10, status=Status.ACTIVE, language=Language.PYTHON))
    assert [session.ref for session in first.page.items] == [ref]
    world.let_expire()
    again = await service.list(ListRequest(ANONYMOUS, 10, status=Status.ACTIVE, judged_at=first.judged_at))
    assert [session.ref for session in again.page.items] == [ref]
    now = await service.list(ListRequest(ANONYMOUS, 10, status=Status.ACTIVE))
    assert not now.page.items
