"""Requests that no client of the origin sends: each gets a response in the form of its API."""

import asyncio
import json

from hypothesis import example, given
from hypothesis import strategies as st

from entrypoints.server.control import ORIGIN
from tests.unit.http.world import Exchange, Reply, chunks
from tests.unit.origin.conftest import world_of

STATUSES = {200, 400, 404, 413, 500}
PATHS = ("/api/v1/initialize", "/api/v1/execute/", "/api/v1/sessions/", "/api/v1/functions", "/api/v1/functions/", "/")
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8), st.lists, max_leaves=6
)
MEMBERS = st.dictionaries(
    st.sampled_from(["context", "params", "script_content", "compile_options", "other"]), VALUES, max_size=5
)
BODIES = st.binary(max_size=64) | MEMBERS.map(lambda value: json.dumps(value).encode())
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


def sent(method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Reply:
    app = world_of().app.listeners[ORIGIN]
    return asyncio.run(Exchange(app, method, path, headers, chunks(body), query).run())


REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "X"]),
    st.builds(str.__add__, st.sampled_from(PATHS), TEXTS),
    st.binary(max_size=40),
    st.tuples(st.binary(max_size=140), st.sampled_from([b"application/json", b"text/plain", b""])),
    BODIES,
)
JSON = b"application/json"


@given(REQUESTS)
@example(("POST", PATHS[0], b"", (b"python-x", JSON), b'{"context": 1, "script_content": "\\u0000"}'))
@example(("POST", PATHS[0], b"", (b"nodejs-\t\t", JSON), b'{"context": {}, "script_content": "1"}'))
@example(("GET", PATHS[3], b"page=9223372036854775808&per_page=999999999999999999", (b"", b""), b""))
def test_every_request_gets_a_response_of_this_api(call):
    method, path, query, (title, kind), body = call
    reply = sent(method, path, query, [(b"language-title", title), (b"content-type", kind)], body)
    assert reply.status in STATUSES
    assert reply.headers.get("x-error-code") != "INTERNAL_ERROR"
    is_plain = reply.headers.get("content-type", "text/plain").startswith("text/plain")
    if reply.status != 200 and not is_plain:
        assert list(reply.json()) == ["error"]
        assert isinstance(reply.json()["error"], str)
