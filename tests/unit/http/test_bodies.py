"""Invalid bodies: every problem is reported at once, and none causes an internal error."""

import json
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import DomainError, InvalidRequest, Problem
from entrypoints.http.errors import error_response
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_schema import BodySchema
from entrypoints.http.parsing.sessions import item_parser
from tests.unit.http.parsers import Parsers
from tests.unit.http.world import OPTIONS, SCRIPT, TITLE, Exchange, chunks, error_of, initialized, problems_of, stream

INITIALIZE = "/api/v1/initialize"
HEADERS = TITLE | {"Content-Type": "application/json"}
PARSERS = Parsers.of(OPTIONS)
FIELDS = (
    "context, convention, environment, files, limits, metadata, network, renewal, script_content, secrets, state, "
    "syntax, ttl_seconds"
)


async def problems_in(client, content, code="INVALID_REQUEST"):
    return problems_of(await client.post(INITIALIZE, headers=HEADERS, content=content), code)


async def test_every_invalid_field_is_reported_at_once(client):
    body = {
        "script_content": 1,
        "context": [],
        "metadata": None,
        "ttl_seconds": 30 * 86_400 + 1,
        "renewal": "never",
        "limits": {"timeout_ms": 60_001, "memory_mb": "64", "isolation": "none", "cpu": 1},
        "a/b~c": {},
        "zz": None,
    }
    assert await problems_in(client, json.dumps(body)) == {
        "/script_content": "must be a string",
        "/context": "must be an object",
        "/metadata": "must be an object",
        "/ttl_seconds": "must be at most 2592000, the longest lifetime here",
        "/renewal": "must be one of: fixed, sliding",
        "/limits/timeout_ms": "must be at most 60000",
        "/limits/memory_mb": "must be an integer",
        "/limits/isolation": "must be one of: process, session",
        "/limits/cpu": "is not a known field; known are: isolation, memory_mb, timeout_ms",
        "/a~1b~0c": f"is not a known field; known are: {FIELDS}",
        "/zz": f"is not a known field; known are: {FIELDS}",
    }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ttl_seconds", "0", "must be at least 1"),
        ("ttl_seconds", "-1", "must be at least 1"),
        ("ttl_seconds", "1.0", "must be an integer"),
        ("ttl_seconds", "1e2", "must be an integer"),
        ("ttl_seconds", '"1"', "must be an integer"),
        ("ttl_seconds", "true", "must be an integer"),
        ("ttl_seconds", "null", "must be an integer"),
        ("ttl_seconds", "9" * 25, "must be at most 2592000, the longest lifetime here"),
        ("ttl_seconds", "9" * 5000, "must be an integer"),
        ("limits", "[]", "must be an object"),
        ("limits", "null", "must be an object"),
        ("renewal", "1", "must be one of: fixed, sliding"),
        ("context", '"text"', "must be an object"),
        ("context", "null", "must be an object"),
        ("script_content", '"a\\u0000b"', "must not contain NUL (\\u0000), which PostgreSQL cannot store"),
        ("script_content", '"\\udfff"', "must not contain half of a surrogate pair"),
        ("script_content", '"\\ud800 and more text"', "must not contain half of a surrogate pair"),
    ],
)
async def test_an_invalid_value_is_reported_with_its_pointer(client, field, value, message):
    assert await problems_in(client, f'{{"{field}": {value}}}') == {f"/{field}": message}


@pytest.mark.parametrize("field", ["context", "metadata"])
@pytest.mark.parametrize(
    ("nested", "pointer", "message"),
    [
        ('{"a": ["x", "\\u0000"]}', "/a/1", "must not contain NUL (\\u0000), which PostgreSQL cannot store"),
        ('{"\\u0000": 1}', "/\0", "its name must not contain NUL (\\u0000), which PostgreSQL cannot store"),
        ('{"a": {"b": "\\uD83D"}}', "/a/b", "must not contain half of a surrogate pair"),
        ('{"a": 1e999}', "/a", "must be a number within the range of a double"),
        ('{"a": -1e999}', "/a", "must be a number within the range of a double"),
        ('{"a": 1e99999999999999999999}', "/a", "must be a number within the range of a double"),
    ],
)
async def test_values_that_postgresql_cannot_store_are_located(client, field, nested, pointer, message):
    assert await problems_in(client, f'{{"{field}": {nested}}}') == {f"/{field}{pointer}": message}


@pytest.mark.parametrize("number", ["1e-16384", "0." + "0" * 16_384 + "1", "1e-99999999999999999999"])
async def test_numbers_with_more_digits_than_postgresql_stores_are_rejected(number):
    with pytest.raises(DomainError) as raised:
        PARSERS.initialize.parse(f'{{"metadata": {{"a": {number}}}}}'.encode())
    assert "/metadata/a" in str(raised.value.details)


async def test_numbers_count_with_the_size_in_which_they_are_sent(client):
    context = '{"a": [' + ", ".join(["1e300"] * 4) + "]}"
    session_id = (
        await client.post(INITIALIZE, headers=HEADERS, content=f'{{"script_content": "x = 1", "context": {context}}}')
    ).json()["request_id"]
    assert context in (await client.get(f"/api/v1/sessions/{session_id}")).text


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ('{"ttl_seconds": 1, "ttl_seconds": 2}', {"/ttl_seconds"}),
        ('{"ttl_seconds": 1, "ttl_second\\u0073": 2}', {"/ttl_seconds"}),
        ('{"limits": {"memory_mb": 16, "memory_mb": 16}}', {"/limits/memory_mb"}),
        ('{"limits": {}, "limits": {"memory_mb": 16}}', {"/limits"}),
        ('{"context": {}, "context": {}, "metadata": {}, "metadata": {}}', {"/context", "/metadata"}),
    ],
)
async def test_a_repeated_field_is_rejected(client, body, pointers):
    problems = await problems_in(client, body)
    assert problems == dict.fromkeys(pointers, "is given more than once")


async def test_repeated_names_inside_a_context_are_accepted(client):
    body = '{"script_content": "result = 1", "context": {"context": {"a": 1, "a": 2}}}'
    assert (await client.post(INITIALIZE, headers=HEADERS, content=body)).status_code == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" ", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b'{"a": 1', "is not valid JSON"),
        (b"{} {}", "is not valid JSON"),
        (b"{},", "is not valid JSON"),
        (b"{'a': 1}", "is not valid JSON"),
        (b'{"context": {"a": NaN}}', "is not valid JSON: NaN is not JSON"),
        (b'{"context": {"a": -Infinity}}', "is not valid JSON: -Infinity is not JSON"),
        (b'{"context": {"a": 01}}', "is not valid JSON"),
        (b'{"context": {"a": "\x01"}}', "is not valid JSON"),
        (b'{"context": {"a": "\\x"}}', "is not valid JSON"),
        (b'{"context": {"a": "\xff"}}', "is not UTF-8 at byte 19"),
        (b'{"context": {"a": "\xed\xa0\x80"}}', "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
        (b"[]", "must be an object"),
        (b'"text"', "must be an object"),
        (b"null", "must be an object"),
        (b'{"context":' + b"[" * 1000 + b"]" * 1000 + b"}", "is nested deeper than 100 levels"),
        (b'{"context":' + b'{"a":' * 1000, "is nested deeper than 100 levels"),
        (b'{"zz":' + b"[" * 3500, "is nested deeper than 100 levels"),
    ],
)
async def test_a_body_that_is_not_a_json_object_is_rejected(client, content, message):
    problems = await problems_in(client, content)
    assert set(problems) == {""}
    assert problems[""].startswith(message)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
async def test_an_empty_body_is_no_body_where_the_body_is_optional(client, headers):
    session_id = await initialized(client)
    executed = await client.post(f"/api/v1/execute/{session_id}", headers=headers)
    assert (executed.status_code, executed.json()["result"]) == (200, {})
    assert error_of(await client.post(INITIALIZE, headers=TITLE | headers), 404)["code"] == "FUNCTION_NOT_FOUND"


async def test_an_empty_body_is_rejected_where_a_body_is_required(client):
    session_id = await initialized(client)
    headers = {"Content-Type": "application/json"}
    problems = problems_of(await client.patch(f"/api/v1/sessions/{session_id}", headers=headers))
    assert problems == {"": "is empty; send a JSON object"}


@pytest.mark.parametrize("name", ["Language-Title", "language_title", "language-title"])
async def test_a_title_in_the_body_is_explained_as_a_header(client, name):
    problems = await problems_in(client, json.dumps({name: "python-adder"}))
    assert problems == {f"/{name}": "is not a field of the body: send it as the header Language-Title"}


@pytest.mark.parametrize(("levels", "status"), [(99, 200), (100, 400)])
async def test_a_hundred_levels_are_allowed_and_brackets_in_strings_do_not_count(client, levels, status):
    session_id = await initialized(client)
    params = '["]]]]",' * levels + '"[[["' + "]" * levels
    response = await client.post(
        f"/api/v1/execute/{session_id}", content=f'{{"params": {params}}}', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == status


@pytest.mark.parametrize(
    "context",
    [
        '{"emoji": "\\ud83d\\ude00", "accent": "\\u00e9", "escape": "\\u001b", "backslash": "\\\\u0000 \\\\ud800"}',
        '{"id": "3e4d5c6b", "digits": "' + "1" * 400 + '"}',
        '{"double": 1.7e308, "tiny": 5e-324, "int": ' + "9" * 308 + "}",
        '{"brackets": "' + "[" * 300 + '", "list": [' + "[]," * 120 + "1]}",
        '{"script_content": "\\"script_content\\"", "limits": {"memory_mb": "x", "memory_mb": 1}}',
        "{ }",
    ],
)
async def test_suspicious_but_valid_bodies_are_accepted(client, world, context):
    body = f'{{"script_content": "result = 1", "context": {context}}}'
    options = Parsers.of(OPTIONS).initialize
    assert str(options.parse(body.encode()).context, "utf-8") == context or len(context) > 1000
    response = await client.post(INITIALIZE, headers=HEADERS, content=body)
    assert response.status_code == 200, response.text
    assert world.store.sessions[UUID(response.json()["request_id"])].context == context


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [("context", {"a": "x" * 1000}, 1000), ("metadata", {"a": "é" * 200}, 400), ("script_content", "é" * 1001, 2000)],
)
async def test_a_field_above_the_size_limit_is_413(client, field, value, limit):
    body = {"script_content": SCRIPT} | {field: value}
    response = await client.post(INITIALIZE, headers=HEADERS, content=json.dumps(body, ensure_ascii=False).encode())
    error = error_of(response, 413)
    assert error["code"] == "PAYLOAD_TOO_LARGE"
    assert (error["details"]["pointer"], error["details"]["limit"]) == (f"/{field}", limit)
    assert error["details"]["observed"] > limit
    assert "connection" not in response.headers


def test_metadata_have_a_limit_of_values_because_each_is_an_entry_of_an_index():
    options = evolve(OPTIONS, metadata_size_max=16 * 1024, metadata_values_max=5)
    parsers = Parsers.of(options)
    most = [{"a": 1, "b": [1, {"c": ",[{,"}]}, {"a": [1, 2, 3, 4]}, {"a": ",[{" * 5000}]
    for metadata in most:
        body = json.dumps({"metadata": metadata, "context": {"free": list(range(100))}}).encode()
        assert json.loads(str(parsers.initialize.parse(body).metadata, "utf-8")) == metadata
    for parser in (parsers.initialize, parsers.patch, item_parser(options, parsers.examiner)):
        with pytest.raises(InvalidRequest) as raised:
            parser.parse(b'{"metadata": {"a": [1, 2, 3, 4, 5]}}')
        assert raised.value.problems == (Problem("/metadata", "must have at most 5 values, at all levels together"),)


async def test_an_escaped_script_is_as_large_as_its_characters(client):
    escaped = json.dumps({"script_content": "#" + "\U0001f600" * 499})
    assert (await client.post(INITIALIZE, headers=HEADERS, content=escaped)).status_code == 200
    larger = json.dumps({"script_content": "#" + "\U0001f600" * 500})
    assert error_of(await client.post(INITIALIZE, headers=HEADERS, content=larger), 413)["details"]["observed"] == 2001


async def test_a_size_beside_other_problems_is_one_of_them(client):
    problems = await problems_in(
        client, json.dumps({"metadata": {"a": "x" * 400}, "ttl_seconds": 0, "context": {"a": 1}})
    )
    assert problems == {"/metadata": "must take at most 400 bytes", "/ttl_seconds": "must be at least 1"}


async def test_limits_above_the_maximum_are_reported_together(client):
    problems = await problems_in(client, '{"limits": {"timeout_ms": 60001, "memory_mb": 513}}')
    assert problems == {"/limits/timeout_ms": "must be at most 60000", "/limits/memory_mb": "must be at most 512"}


async def test_rules_are_checked_beside_a_half_surrogate_pair_and_a_wrong_type(client):
    problems = await problems_in(
        client, '{"script_content": "\\ud800", "metadata": {"a": "' + "x" * 400 + '"}, "limits": []}'
    )
    assert set(problems) == {"/script_content", "/metadata", "/limits"}


async def test_problems_are_bounded_in_number_and_in_length(client):
    names = ",".join(f'"{"n" * 200}{number}": 1' for number in range(300))
    with pytest.raises(DomainError) as raised:
        PARSERS.initialize.parse(f"{{{names}}}".encode())
    problems = raised.value.details["problems"]
    assert 1 <= len(problems) <= 100
    assert all(len(problem["pointer"]) < 140 for problem in problems)


def test_a_value_that_only_the_decoder_rejects_is_located():
    class Loose(msgspec.Struct):
        limits: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    parser = BodyParser(Loose, 100, 1.0, lambda _: (), Examiner(1.0, 100))
    with pytest.raises(InvalidRequest) as raised:
        parser.parse(b'{"limits": "2026-01-01T00:00:00"}')
    assert [problem.pointer for problem in raised.value.problems] == ["/limits"]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Annotated[str, msgspec.Meta(max_length=70)], "x" * 71, "must have at most 70 characters"),
        (Annotated[str, msgspec.Meta(min_length=2)], "x", "must have at least 2 characters"),
        (Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")], "X", "must match the pattern ^[a-z]{2}$"),
        (Annotated[datetime, msgspec.Meta(tz=True)], "2026-02-30T00:00:00Z", "must be an instant such as"),
        (Annotated[datetime, msgspec.Meta(tz=True)], "2026-02-03T00:00:00", "must be an instant such as"),
        (UUID, "1-2", "must be a UUID"),
    ],
)
def test_what_the_decoder_wants_of_a_text_is_said_beside_other_problems(kind, value, message):
    schema = BodySchema(msgspec.defstruct("Body", [("text", kind), ("other", int)]), {})
    found = {each.pointer: each.message for each in schema.problems({"text": value, "other": "x"})}
    assert found["/text"].startswith(message)
    assert found["/other"] == "must be an integer"


def test_a_schema_keyword_without_a_message_is_named():
    class Short(msgspec.Struct):
        name: Annotated[int, msgspec.Meta(multiple_of=2)]

    assert list(BodySchema(Short, {}).problems({"name": 3})) == [Problem("/name", "does not satisfy multipleOf")]
    assert list(BodySchema(Short, {}).problems({})) == [Problem("", "must have the field name")]


async def test_a_large_body_is_examined_beside_the_event_loop(client):
    session_id = await initialized(client)
    response = await client.post(
        f"/api/v1/execute/{session_id}",
        content='{"params": "' + "x" * 65_900 + '\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert set(problems_of(response, "INVALID_PARAMS")) == {"/params"}


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-parser-urlencoded",
        "application/json; charset=latin-1",
        "application/json; version=1",
        "application/json, text/html",
        "application/problem+json",
        "",
    ],
)
async def test_a_content_type_other_than_json_is_415(client, media_type):
    response = await client.post(INITIALIZE, headers=TITLE | {"Content-Type": media_type}, content="{}")
    error = error_of(response, 415)
    assert error["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert error["details"] == {"header": "content-type", "value": media_type}


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON;charset=UTF-8", 'application/json ; charset="utf-8"']
)
async def test_every_spelling_of_json_in_utf_8_is_accepted(client, media_type):
    response = await client.post(
        INITIALIZE, headers=TITLE | {"Content-Type": media_type}, content='{"script_content": "result = 1"}'
    )
    assert response.status_code == 200


async def test_a_body_without_a_content_type_is_415(client):
    response = await client.post(INITIALIZE, headers=TITLE, content=b"{}")
    assert error_of(response, 415)["details"] == {"header": "content-type", "value": None}


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("identity", 200)])
async def test_a_compressed_body_is_415(client, coding, status):
    headers = HEADERS | {"Content-Encoding": coding}
    response = await client.post(INITIALIZE, headers=headers, content='{"script_content": "result = 1"}')
    assert response.status_code == status


@pytest.mark.parametrize("length", [b"1000000", b"9" * 40])
async def test_a_declared_length_above_the_limit_is_rejected_before_the_body_is_read(world, length):
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    exchange = Exchange(world.app, "POST", INITIALIZE, headers, chunks(b"{}"))
    reply = await exchange.run()
    assert (reply.status, exchange.received_before_response) == (413, 0)
    assert reply.headers["connection"] == "close"
    assert reply.json()["error"]["details"]["pointer"] == ""


@pytest.mark.parametrize("length", [b"x", b"\xb2", b"-1"])
async def test_a_content_length_that_is_not_a_number_is_ignored(world, length):
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    assert (await Exchange(world.app, "POST", INITIALIZE, headers, chunks(b"[]")).run()).status == 400


async def test_a_body_without_a_length_is_bounded_while_it_is_read(world):
    messages = chunks(*[b" " * 10_000] * 1000)
    exchange = Exchange(world.app, "POST", INITIALIZE, [(b"content-type", b"application/json")], messages)
    reply = await exchange.run()
    assert (reply.status, reply.headers["connection"]) == (413, "close")
    assert exchange.received_before_response < 10


async def test_a_body_may_arrive_in_chunks(client):
    response = await client.post(
        INITIALIZE, headers=HEADERS, content=stream(b'{"script_', b"", b'content": "result = 1"}')
    )
    assert response.status_code == 200


async def test_a_body_that_does_not_arrive_ends_at_the_timeout(world):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    messages = [{"type": "http.request", "body": b"{", "more_body": True}]
    reply = await Exchange(world.app, "POST", INITIALIZE, headers, messages).run()
    assert (reply.status, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert reply.headers["connection"] == "close"


async def test_a_client_that_disconnects_during_its_body_gets_no_response(world):
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    headers = [(b"content-type", b"application/json")]
    assert (await Exchange(world.app, "POST", INITIALIZE, headers, messages).run()).status is None


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["context", "metadata", "ttl_seconds", "limits", "script_content", "renewal", "params", "x"])


def parsed(parser, content):
    """Return the body, or None if it is rejected. Any other exception fails the test."""
    checked = parser.check(content)
    try:
        body = parser.parse(content)
    except DomainError as error:
        error_response(error, None)
        body = None
    assert (body is None) == (checked is None), "the explanation finds a problem if and only if the check fails"
    return body


@given(st.binary(max_size=64) | st.text(max_size=64).map(lambda text: text.encode(errors="surrogatepass")))
@example(b'{"context":{"a":1.5e}}')
def test_no_bytes_cause_an_internal_error(content):
    for parser in (PARSERS.initialize, PARSERS.execute, PARSERS.patch):
        parsed(parser, content)
        parsed(parser, b'{"context": {"a": "' + content + b'"}, "params": [' + content + b"]}")


@given(st.dictionaries(NAMES, JSON_VALUES, max_size=4), st.booleans())
def test_no_json_causes_an_internal_error(value, ascii_only):
    content = json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    for parser in (PARSERS.initialize, PARSERS.execute, PARSERS.patch):
        parsed(parser, content)


@given(JSON_VALUES, st.booleans())
def test_params_stay_unchanged(params, ascii_only):
    text = json.dumps(params, ensure_ascii=ascii_only)
    body = parsed(PARSERS.execute, f'{{"params": {text}}}'.encode(errors="surrogatepass"))
    assert body is None or str(body.params, "utf-8") == text
    assert body is not None or any("\ud800" <= letter <= "\udfff" for letter in str(params)) or len(text) > 900
