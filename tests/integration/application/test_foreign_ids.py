"""Ids that the service did not make, on every path over PostgreSQL."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest

from entrypoints.cli.storage import storage_report
from entrypoints.composition.commands import Commands
from entrypoints.http.parsing.cursors import ExecutionCursor, SessionCursor, write_cursor
from tests.foreign_ids import CALLS, EXTREMES, UNKNOWN, random_v4
from tests.integration.application.conftest import Api, settings_for

NOW_US = 1_767_322_984_567_000
YEAR_9999_US = 253_402_300_799_999_999


async def call(api: Api, identifier: UUID, made: tuple[str, str, Any, dict[str, str]]) -> tuple[int, Any]:
    method, path, body, headers = made
    response = await api.client.request(method, path.format(identifier), json=body, headers=headers)
    content = response.json()
    content.pop("request_id", None)
    return response.status_code, content


def mixed() -> Iterator[UUID]:
    """Every extreme id for every call, and between them random ones."""
    for extreme in EXTREMES:
        yield from itertools.repeat(extreme, len(CALLS))
    yield from random_v4(len(CALLS) * 10)


async def test_an_id_that_is_not_there_is_answered_like_an_unknown_one(api: Api) -> None:
    await api.client.post(
        "/api/v1/initialize",
        headers={"Language-Title": "python-x", "Idempotency-Key": "k"},
        json={"script_content": "result = 1"},
    )
    expected = [await call(api, UNKNOWN, made) for made in CALLS]
    assert {status for status, _ in expected} == {404}
    for identifier, made, response in zip(mixed(), itertools.cycle(CALLS), itertools.cycle(expected), strict=False):
        assert await call(api, identifier, made) == response, (identifier, made)


@pytest.mark.parametrize("instant_us", [0, NOW_US, YEAR_9999_US])
async def test_lists_go_on_after_any_id(api: Api, instant_us: int) -> None:
    session_id = await api.initialize("python-x", "result = 1")
    ran = (await api.execute(session_id)).json()["execution_id"]
    history = f"/api/v1/sessions/{session_id}/executions"
    for identifier in [*EXTREMES, *random_v4(20)]:
        for status in (None, "active"):
            after = write_cursor(SessionCursor(identifier, instant_us, status, None))
            shown = await shown_by(api, f"/api/v1/sessions?cursor={after}", "sessions")
            # As seen from the year 9999 nothing is active any more.
            is_there = UUID(session_id) < identifier and (status is None or instant_us != YEAR_9999_US)
            assert [each["request_id"] for each in shown] == [session_id] * is_there
        for since_us in (None, instant_us):
            after = write_cursor(ExecutionCursor(UUID(session_id), identifier, None, since_us))
            shown = await shown_by(api, f"{history}?cursor={after}", "executions")
            is_there = UUID(ran) < identifier and since_us != YEAR_9999_US
            assert [each["execution_id"] for each in shown] == [ran] * is_there


async def shown_by(api: Api, path: str, name: str) -> Any:
    response: httpx2.Response = await api.client.get(path)
    assert response.status_code == 200, response.text
    return response.json()[name]


@pytest.mark.parametrize("identifier", [UUID(int=1), *EXTREMES[-3:], *random_v4(2)], ids=str)
async def test_a_session_that_somebody_has_stored_under_a_foreign_id_can_be_read_and_counted(
    api: Api, database_url: str, data_dir: Path, identifier: UUID
) -> None:
    """Rows that a person has put there by hand break no list, and no report of what is stored."""
    session_id = await api.initialize("python-x", "result = 1", ttl_seconds=3600)
    ran = (await api.execute(session_id)).json()["execution_id"]
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE meta.sessions SET request_id = %s", [identifier])
        connection.execute(
            "UPDATE meta.executions SET request_id = %s, execution_id = %s WHERE execution_id = %s",
            [identifier, identifier, ran],
        )
    assert (await api.session(str(identifier))).json()["request_id"] == str(identifier)
    assert [each["request_id"] for each in await shown_by(api, "/api/v1/sessions", "sessions")] == [str(identifier)]
    await shown_by(api, f"/api/v1/sessions/{identifier}/executions", "executions")
    assert (await api.client.get(f"/api/v1/executions/{identifier}")).status_code in {200, 404}
    assert (await api.execute(str(identifier))).status_code == 200
    report = await storage_report(Commands(settings=settings_for(database_url, data_dir)), data_dir)
    assert report.facts.stored.history
    assert (await api.client.delete(f"/api/v1/sessions/{identifier}")).status_code == 204
