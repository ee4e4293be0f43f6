"""Lists and their pages over HTTP."""

import json
import re
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from attrs import evolve

from entrypoints.http.parsing.cursors import CURSOR_LENGTH_MAX, ExecutionCursor, SessionCursor, read_cursor
from tests.unit.http.world import OPTIONS, Exchange, World, error_of, initialized, problems_of

LIST = "/api/v1/sessions"


def linked(response):
    match = re.fullmatch(r'<([^>]+)>; rel="next"', response.headers["link"])
    assert match
    return match[1]


async def test_pages_have_every_session_once_newest_first(client, world):
    made = []
    for _ in range(5):
        world.clock.advance(timedelta(seconds=1))
        made.append(await initialized(client))
    seen, url = [], f"{LIST}?limit=2"
    while True:
        response = await client.get(url)
        body = response.json()
        seen += [session["request_id"] for session in body["sessions"]]
        if body["next_cursor"] is None:
            assert "link" not in response.headers
            break
        assert body["next_cursor"] in response.headers["link"]
        url = linked(response)
    assert seen == made[::-1]


async def test_an_item_is_the_session_without_its_context(client):
    session_id = await initialized(client, context={"a": 1})
    item = (await client.get(LIST)).json()["sessions"][0]
    session = (await client.get(f"{LIST}/{session_id}")).json()
    assert session.pop("context") == {"a": 1}
    assert item == session


async def test_items_have_the_fields_that_are_asked_for_on_every_page(client):
    made = [await initialized(client, context={"n": n}) for n in range(2)]
    first = await client.get(f"{LIST}?limit=1&fields=context&fields=status,context")
    second = await client.get(linked(first))
    items = [item for page in (first, second) for item in page.json()["sessions"]]
    assert items == [{"request_id": made[n], "context": {"n": n}, "status": "active"} for n in (1, 0)]


@pytest.mark.parametrize("fields", ["script_content", "nothing", "", "status,"])
async def test_unknown_fields_of_items_are_rejected(client, fields):
    problems = problems_of(await client.get(LIST, params={"fields": fields}))
    assert "known are: request_id," in problems["/query/fields"]


async def test_lists_are_filtered_by_metadata_and_by_a_part_of_the_title(client):
    metadata = {"order": "4711", "n": 1, "customer": {"id": 7}, "tags": ["a", "b"]}
    wanted, _ = await initialized(client, metadata=metadata), await initialized(client, metadata={"order": 4711})

    async def found(**query):
        return [item["request_id"] for item in (await client.get(LIST, params=query)).json()["sessions"]]

    for part in ('{"order": "4711"}', '{"n": 1.0, "customer": {"id": 7}}', '{"tags": ["b"]}'):
        assert await found(metadata=part) == [wanted]
    assert await found(metadata='{"order": "4712"}') == []
    assert await found(metadata='{"order": "4711"}', text="ADD", status="active") == [wanted]
    assert await found(text="nodejs") == []


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "4711",
        "[1]",
        "{}",
        "order=4711",
        '{"a": {}, "b": [[]]}',
        '{"a": 1',
        '{"a": "\\u0000"}',
        '{"a": "\\ud800"}',
        '{"a": 1e400}',
        '{"a": 1e-16384}',
        '{"a":' + "[" * 100 + "1" + "]" * 100 + "}",
        '{"a": "' + "x" * 500 + '"}',
        '{"a": [1, 2, 3, 4], "b": {"c": [5, 6, 7, 8]}, "d": null}',
    ],
)
async def test_metadata_that_no_index_finds_are_rejected(client, metadata):
    assert set(problems_of(await client.get(LIST, params={"metadata": metadata}))) == {"/query/metadata"}


async def test_a_filter_by_metadata_may_have_eight_values_at_all_levels_together(client):
    wanted = await initialized(client, metadata={"a": list(range(20)), "b": {"c": list(range(20))}})
    page = await client.get(LIST, params={"metadata": '{"a": [1, 2, 3, 4], "b": {"c": [5, 6, 7, 8]}}'})
    assert [item["request_id"] for item in page.json()["sessions"]] == [wanted]


async def test_a_cursor_contains_the_longest_filters(client):
    metadata = {"a": "\N{GRINNING FACE}" * 400}
    world = World.of(evolve(OPTIONS, metadata_size_max=4000))
    async with world.client() as other:
        made = [await initialized(other, metadata=metadata) for _ in range(2)]
        query = {"limit": 1, "metadata": json.dumps(metadata, ensure_ascii=False), "text": "python"}
        cursor = (await other.get(LIST, params=query)).json()["next_cursor"]
        page = await other.get(LIST, params={"cursor": cursor})
    assert len(cursor) <= CURSOR_LENGTH_MAX
    assert [item["request_id"] for item in page.json()["sessions"]] == made[:1]


async def test_status_is_judged_once_for_all_pages(client, world):
    first, second = await initialized(client, ttl_seconds=10), await initialized(client, ttl_seconds=10)
    page = await client.get(f"{LIST}?limit=1&status=active")
    world.clock.advance(timedelta(seconds=10))
    following = await client.get(linked(page))
    assert [page.json()["sessions"][0]["request_id"], following.json()["sessions"][0]["request_id"]] == [second, first]
    assert following.json()["sessions"][0]["status"] == "active"
    assert [item["status"] for item in (await client.get(LIST)).json()["sessions"]] == ["expired", "expired"]


async def test_lists_are_filtered_by_status_and_language(client):
    closed, live = await initialized(client), await initialized(client)
    await client.delete(f"{LIST}/{closed}")

    async def found(query):
        return [item["request_id"] for item in (await client.get(f"{LIST}?{query}")).json()["sessions"]]

    assert await found("status=closed") == [closed]
    assert await found("status=active&language=python") == [live]
    assert await found("language=nodejs") == []


async def test_a_cursor_contains_its_filters(client):
    for _ in range(2):
        await initialized(client)
    first = (await client.get(f"{LIST}?limit=1&status=active")).json()["next_cursor"]
    response = await client.get(LIST, params={"cursor": first})
    assert len(response.json()["sessions"]) == 1


@pytest.mark.parametrize("query", ["status=closed", "language=python", "text=a", "metadata=%7B%22a%22:1%7D"])
async def test_a_cursor_with_other_filters_is_rejected(client, query):
    for _ in range(2):
        await initialized(client)
    cursor = (await client.get(f"{LIST}?limit=1&status=active")).json()["next_cursor"]
    response = await client.get(f"{LIST}?cursor={cursor}&{query}")
    assert set(problems_of(response)) == {f"/query/{query.partition('=')[0]}"}


async def test_every_invalid_parameter_is_reported_at_once(client):
    response = await client.get(f"{LIST}?limit=0&status=dead&language=cobol&cursor=x&sort=up&sort=down")
    expected = {"/query/limit", "/query/status", "/query/language", "/query/cursor", "/query/sort"}
    assert {problem["pointer"] for problem in error_of(response, 400)["details"]["problems"]} == expected


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.0", "", "x", "+5", "%C2%B2", "9" * 30])
async def test_limits_outside_1_to_200_are_rejected(client, limit):
    assert set(problems_of(await client.get(f"{LIST}?limit={limit}"))) == {"/query/limit"}


@pytest.mark.parametrize("query", ["limit=%FF", "&".join(f"x{n}=1" for n in range(40))])
async def test_unreadable_query_strings_are_rejected(client, query):
    assert set(problems_of(await client.get(f"{LIST}?{query}"))) == {"/query"}


def forged(text):
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


ID = "01a2101f-9ff2-79ec-8000-000000000001"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "é",
        "a" * 600,
        "!!!!",
        forged("[]"),
        forged(f'["s","{ID}",-1,null,null]'),
        forged(f'["s","{ID}",999999999999999999,null,null]'),
        forged(f'["s","{ID.upper()}",1,null,null]'),
        forged(f'["s","{ID}",1,null,null,1]'),
        forged(f'["e","{ID}","{ID}"]'),
        forged(f'["s","{ID}",1,"dead",null,null,null,null]'),
        forged(f'["s","{ID}",1,null,null,null,"{{}}",null]'),
        forged(f'["s","{ID}",1,null,null,null,"{{\\"a\\":\\"\\\\u0000\\"}}",null]'),
        forged(f'["s", "{ID}",1,null,null]'),
        forged(f'["s","{ID}",1,null,null]') + "=",
        forged("[" * 300),
        forged("\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
    ],
)
async def test_invalid_cursors_are_rejected(client, cursor):
    response = await client.get(LIST, params={"cursor": cursor})
    assert set(problems_of(response)) == {"/query/cursor"}


def test_a_cursor_is_read_as_it_was_written():
    assert (
        read_cursor(forged(f'["s","{ID}",1500000,"active","nodejs",null,null,null]'), SessionCursor).judged_at.second
        == 1
    )


async def test_the_link_keeps_the_prefix_that_the_application_is_mounted_under(client, world):
    for _ in range(2):
        await initialized(client)
    for path in (LIST, "/lambda" + LIST):
        reply = await Exchange(world.app, "GET", path, query=b"limit=1", root_path="/lambda").run()
        assert reply.headers["link"].startswith("</lambda/api/v1/sessions?limit=1&cursor=")


async def test_history_lists_executions_newest_first(client):
    session_id = await initialized(client, script_content="print('out')\nresult = params['x'] + 1")
    for params in ({"x": 1}, {"x": "no"}):
        await client.post(f"/api/v1/execute/{session_id}", json={"params": params})
    body = (await client.get(f"{LIST}/{session_id}/executions")).json()
    failed, succeeded = body["executions"]
    assert body["next_cursor"] is None
    assert (succeeded["outcome"], succeeded["params"], succeeded["result"]) == ("succeeded", {"x": 1}, 2)
    assert (succeeded["error"], succeeded["stdout"], succeeded["truncated"]) == (None, "out\n", {})
    assert (failed["outcome"], failed["result"], failed["error"]["code"]) == ("failed", None, "SCRIPT_ERROR")
    assert failed["started_at"] == "2026-01-02T03:04:05.678901Z"


async def test_history_has_pages(client):
    session_id = await initialized(client)
    for number in range(3):
        await client.post(f"/api/v1/execute/{session_id}", json={"params": {"n": number}})
    first = await client.get(f"{LIST}/{session_id}/executions?limit=2")
    second = await client.get(linked(first))
    assert [row["params"]["n"] for page in (first, second) for row in page.json()["executions"]] == [2, 1, 0]
    assert second.json()["next_cursor"] is None


async def test_a_large_field_of_the_history_has_its_beginning_and_its_length(client):
    session_id = await initialized(client, script_content="result = 'x' * 100_000\nprint(result)")
    await client.post(f"/api/v1/execute/{session_id}")
    row = (await client.get(f"{LIST}/{session_id}/executions")).json()["executions"][0]
    assert row["truncated"] == {"result": 100_002, "stdout": 100_001}
    assert (row["result"], row["result_given"]) == (None, True)
    assert row["beginnings"] == {"result": '"' + "x" * 65_535}
    assert len(row["stdout"]) == 65_536


async def test_large_params_and_errors_of_the_history_are_no_half_values():
    world = World.of(evolve(OPTIONS, params_size_max=200_000))
    async with world.client() as client:
        session_id = await initialized(client, script_content="raise ValueError(params * 2)")
        await client.post(f"/api/v1/execute/{session_id}", json={"params": "y" * 70_000})
        row = (await client.get(f"{LIST}/{session_id}/executions")).json()["executions"][0]
    assert (row["params"], row["error"]) == (None, None)
    assert row["truncated"]["params"] == 70_002
    assert row["beginnings"]["params"].startswith('"yyy')
    assert row["beginnings"]["error"].startswith('{"code": "SCRIPT_ERROR"')


async def test_a_field_that_is_stored_whole_has_no_beginning(client):
    session_id = await initialized(client, script_content="result = 'x' * 65_534")
    await client.post(f"/api/v1/execute/{session_id}")
    row = (await client.get(f"{LIST}/{session_id}/executions")).json()["executions"][0]
    assert (row["result"], row["truncated"], row["beginnings"]) == ("x" * 65_534, {}, {})


async def test_the_history_of_an_expired_session_stays_and_that_of_a_closed_one_is_gone(client, world):
    expired, closed = await initialized(client, ttl_seconds=1), await initialized(client)
    await client.delete(f"{LIST}/{closed}")
    world.clock.advance(timedelta(seconds=1))
    assert (await client.get(f"{LIST}/{expired}/executions")).status_code == 200
    assert error_of(await client.get(f"{LIST}/{closed}/executions"), 410)["code"] == "SESSION_CLOSED"


async def test_a_cursor_of_another_session_is_rejected(client):
    one, other = await initialized(client), await initialized(client)
    for _ in range(2):
        await client.post(f"/api/v1/execute/{one}")
    cursor = (await client.get(f"{LIST}/{one}/executions?limit=1")).json()["next_cursor"]
    assert read_cursor(cursor, ExecutionCursor)
    for path, query in ((other, f"cursor={cursor}"), (one, f"cursor={cursor}x"), (one, "cursor=x&limit=x")):
        assert "/query/cursor" in problems_of(await client.get(f"{LIST}/{path}/executions?{query}"))
