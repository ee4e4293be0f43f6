"""What the service adds to the origin's API, or answers otherwise: sessions."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from domain.identity import ANONYMOUS
from domain.scripts.convention import Convention
from entrypoints.origin.application import OriginHooks
from entrypoints.origin.endpoints import OriginOptions
from tests.contracts.origin_api import ABSENT, ADDS, TITLE, execute, initialize, initialized
from tests.unit.http.world import Exchange, chunks
from tests.unit.origin.conftest import OPTIONS, caller_of, world_of

LENIENT = OriginOptions(lenient=True)
PLAIN = "text/plain; charset=utf-8"


async def titled(client, title, script=ADDS):
    body = {"context": {}, "script_content": script}
    return await client.post("/api/v1/initialize", json=body, headers={"Language-Title": title})


def stored(world, request_id):
    return world.store.sessions[UUID(request_id)]


@pytest.mark.parametrize("title", ["cobol-x", "python", "rust-validator", "nodejs", "-"])
async def test_a_title_of_no_language_is_refused_when_the_session_is_initialized(client, title):
    response = await titled(client, title)
    assert response.status_code == 400
    assert response.headers["x-error-code"] == "RUNTIME_NOT_FOUND"
    assert response.json()["error"] == (
        f"Failed to create session: Validation error: Unsupported language title: {title}. No runtime serves "
        f"'{title}'. Use a title that begins with one of: nodejs-, python-."
    )


@pytest.mark.parametrize("title", ["cobol-x", "python", "", '"\\x'])
async def test_a_lenient_service_accepts_it_and_fails_each_execution(title):
    world = world_of(LENIENT)
    async with caller_of(world) as client:
        request_id = (await titled(client, title)).json()["request_id"]
        shown = (await client.get(f"/api/v1/sessions/{request_id}")).json()
        assert shown["language_title"] == title
        assert world.store.scripts[UUID(request_id)].source.startswith('throw new Error("Unsupported language title: ')


async def test_a_title_of_more_than_128_characters_is_refused(client):
    response = await titled(client, "python-" + "x" * 122)
    assert response.status_code == 400
    assert response.json()["error"].startswith("Failed to create session: Validation error: Language-Title has 129 ")


async def test_a_further_prefix_of_the_mapping_names_a_language(client):
    request_id = (await titled(client, "js-calculator")).json()["request_id"]
    assert (await client.get(f"/api/v1/sessions/{request_id}")).json()["language_title"] == "nodejs-calculator"


async def test_the_first_of_two_titles_counts(client):
    headers = [("Language-Title", "python-first"), ("Language-Title", "python-second")]
    made = await client.post("/api/v1/initialize", json={"context": {}, "script_content": ADDS}, headers=headers)
    shown = (await client.get(f"/api/v1/sessions/{made.json()['request_id']}")).json()
    assert shown["language_title"] == "python-first"


@pytest.mark.parametrize("script", [None, ""])
async def test_a_session_without_a_script_gets_the_function_of_its_title(world, client, script):
    async with world.client() as own:
        await own.put("/api/v1/functions/python-test", json={"script_content": "result = params['n'] + 1"})
    request_id = await initialized(client, script)
    assert (await execute(client, request_id, n=1)).json()["result"] == 2


@pytest.mark.parametrize("script", [None, ""])
async def test_without_a_function_it_is_refused(client, script):
    response = await initialize(client, script)
    assert (response.status_code, response.headers["x-error-code"]) == (400, "FUNCTION_NOT_FOUND")
    assert response.json()["error"].startswith("Failed to create session: No function is registered as python-test ")


@pytest.mark.parametrize("script", [None, ""])
async def test_a_lenient_service_accepts_it_too(script):
    async with caller_of(world_of(LENIENT)) as client:
        response = await execute(client, await initialized(client, script))
    assert response.status_code == 500
    expected = "Failed to execute function: RuntimeError: No function is registered as python-test"
    assert response.json() == {"error": expected}


async def test_new_sessions_have_the_convention_of_the_setting():
    for convention in (Convention.OWN, Convention.ORIGIN):
        world = world_of(OriginOptions(convention))
        async with caller_of(world) as client:
            request_id = await initialized(client)
        assert stored(world, request_id).convention is convention


@pytest.mark.parametrize("context", [[], "text", None])
async def test_under_the_own_convention_a_context_is_an_object(context):
    async with caller_of(world_of(OriginOptions(Convention.OWN))) as client:
        response = await initialize(client, context=context)
    assert (response.status_code, response.headers["x-error-code"]) == (400, "INVALID_REQUEST")
    assert response.json()["error"].startswith("Failed to create session: ")
    assert "/context: must be an object under the calling convention own" in response.json()["error"]


async def test_a_function_is_called_by_the_own_convention(world, client):
    async with world.client() as own:
        await own.put("/api/v1/functions/python-test", json={"script_content": "result = 1"})
    assert stored(world, await initialized(client, None)).convention is Convention.OWN
    assert (await initialize(client, None, context=[])).status_code == 400


async def test_a_syntax_error_is_refused_when_the_session_is_initialized(client):
    response = await initialize(client, "result = (")
    assert (response.status_code, response.headers["x-error-code"]) == (400, "SCRIPT_SYNTAX_ERROR")
    assert response.json()["error"].startswith("Failed to create session: The script has a syntax error: ")


async def test_the_error_of_a_script_is_told_as_it_is(client):
    response = await execute(client, await initialized(client, "raise KeyError('colour')"))
    assert response.json() == {"error": "Failed to execute function: KeyError: 'colour'"}
    assert response.headers["x-error-code"] == "SCRIPT_ERROR"


@pytest.mark.parametrize("end", ["expire", "close"])
async def test_an_ended_session_is_absent(world, client, end):
    request_id = await initialized(client)
    if end == "expire":
        world.clock.advance(timedelta(hours=1))
    else:
        async with world.client() as own:
            await own.delete(f"/api/v1/sessions/{request_id}")
    for response in (await execute(client, request_id), await client.get(f"/api/v1/sessions/{request_id}")):
        assert (response.status_code, response.json()) == (404, ABSENT)


async def test_a_fault_of_the_body_comes_before_an_unknown_session(client):
    response = await client.post("/api/v1/execute/no-such-id", json={})
    assert (response.status_code, response.headers["content-type"]) == (400, PLAIN)


async def test_a_session_that_was_taken_over_shows_the_title_of_its_client():
    async def spelled(_session_id):
        return "js-mine"

    async with caller_of(world_of(origin_hooks=OriginHooks(spelled=spelled))) as client:
        request_id = await initialized(client)
        assert (await client.get(f"/api/v1/sessions/{request_id}")).json()["language_title"] == "js-mine"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"context": 1, "context": 2}', "is given more than once (at /context)"),
        (b'{"context": {"a": "\\u0000"}}', "must not contain NUL"),
        (b'{"context": {}, "script_content": "\\u0000"}', "must not contain NUL"),
        (b'{"context": ' + b"[" * 100 + b"]" * 100 + b"}", "is nested deeper than 100 levels"),
        (b'{"context": "\\ud800"}', "must not contain half of a surrogate pair"),
        (b'{"context": 1e999}', "must be a number within the range of a double"),
        (b'{"context": "\xff"}', "is not UTF-8 at byte"),
        (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
    ],
)
async def test_what_the_own_api_refuses_in_a_body_is_refused_in_plain_text(client, content, said):
    response = await client.post(
        "/api/v1/initialize", content=content, headers=TITLE | {"Content-Type": "application/json"}
    )
    assert (response.status_code, response.headers["content-type"]) == (400, PLAIN)
    assert response.text.startswith("Json deserialize error: ")
    assert said in response.text


async def test_many_unknown_members_hide_no_fault(client):
    others = ",".join(f'"m{n}": "\\u0041"' for n in range(200))
    for fault, status in (('"\\u0000"', 400), ('"\\u0041"', 200)):
        content = f'{{{others}, "context": {fault}, "script_content": "result = 1"}}'
        headers = TITLE | {"Content-Type": "application/json"}
        assert (await client.post("/api/v1/initialize", content=content, headers=headers)).status_code == status


async def test_a_compressed_body_is_refused_in_plain_text(client):
    headers = TITLE | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = await client.post("/api/v1/initialize", content=b"x", headers=headers)
    assert (response.status_code, response.text) == (
        400,
        "Content type error: the header content-encoding does not declare plain JSON. Send application/json.",
    )


async def test_a_body_that_does_not_arrive_is_refused_in_plain_text():
    world = world_of(options=evolve(OPTIONS, body_timeout_s=0.01))
    headers = [(b"content-type", b"application/json"), (b"language-title", b"python-test")]
    sent = [{"type": "http.request", "body": b"{", "more_body": True}]
    reply = await Exchange(world.app.listeners["origin"], "POST", "/api/v1/initialize", headers, sent).run()
    assert (reply.status, reply.headers["content-type"], reply.headers["connection"]) == (400, PLAIN, "close")


async def test_a_declared_length_beyond_the_limit_is_refused_before_it_is_read(world):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"99999999")]
    exchange = Exchange(world.app.listeners["origin"], "POST", "/api/v1/execute/x", headers, chunks(b"x"))
    reply = await exchange.run()
    assert (reply.status, reply.headers["content-type"], exchange.received_before_response) == (413, PLAIN, 0)


@pytest.mark.parametrize("member", ["context", "params"])
async def test_a_context_and_params_have_a_greatest_size(member):
    world = world_of(options=evolve(OPTIONS, context_size_max=100, params_size_max=100))
    async with caller_of(world) as client:
        request_id = await initialized(client)
        path = f"/api/v1/execute/{request_id}" if member == "params" else "/api/v1/initialize"
        response = await client.post(path, json={member: "x" * 100}, headers=TITLE)
    assert (response.status_code, response.headers["content-type"]) == (413, PLAIN)
    assert response.text.startswith(f"/{member} is larger than the allowed 100 bytes")


async def test_everybody_has_the_sessions_of_the_one_owner(world, client):
    request_id = await initialized(client)
    assert stored(world, request_id).ref.owner == ANONYMOUS
