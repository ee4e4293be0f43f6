"""The requests of the load, as bytes, made before anything is measured."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from itertools import count, cycle
from urllib.parse import quote

from tests.benchmarks.sessions import CONTEXT, SCRIPT, SessionSet

SESSION_SECRET = "benchmark"
_LANGUAGES = {"nodejs": SCRIPT, "python": 'result = params["a"] + params["b"]'}
_COMMENT = {"nodejs": " //", "python": "  #"}
_PATCH = {"context": json.loads(CONTEXT) | {"env": "live"}}
_PARAMS = {"params": {"a": 5, "b": 3}}


def gets(sessions: SessionSet, **headers: str) -> Iterator[bytes]:
    """Read sessions in random order."""
    return cycle([request("GET", f"/api/v1/sessions/{each}", **headers) for each in _ids(sessions)])


def patches(sessions: SessionSet) -> Iterator[bytes]:
    """Replace the context of sessions in random order."""
    return cycle([request("PATCH", f"/api/v1/sessions/{each}", _PATCH) for each in _ids(sessions)])


def counts(sessions: SessionSet) -> Iterator[bytes]:
    """Count a use, at the implementation that takes a connection for each request."""
    return cycle([request("POST", f"/api/v1/sessions/{each}/count", {}) for each in _ids(sessions)])


def initialize(language: str = "nodejs") -> bytes:
    """Return the request for one more session."""
    return _initialize(language, _LANGUAGES[language])


def initializes() -> Iterator[bytes]:
    """Make sessions of one script."""
    return cycle([initialize()])


_NUMBERS = count()


def initializes_of_new_scripts(language: str) -> Iterator[bytes]:
    """Make sessions of scripts that no request has named before."""
    while True:
        yield _initialize(language, f"{_LANGUAGES[language]}{_COMMENT[language]} {next(_NUMBERS)}")


def execute(session_id: str) -> bytes:
    """Run a session's script once."""
    return request("POST", f"/api/v1/execute/{session_id}", _PARAMS)


def accepts(sessions: SessionSet) -> Iterator[bytes]:
    """Hand executions over to be run later, of sessions in random order."""
    paths = [f"/api/v1/execute/{each}" for each in _ids(sessions)]
    return cycle([request("POST", path, _PARAMS, prefer="respond-async") for path in paths])


def express_creates() -> Iterator[bytes]:
    """Make sessions at the peer."""
    return cycle([request("POST", "/sessions", {"context": json.loads(CONTEXT), "script": SCRIPT})])


def express_gets(sessions: SessionSet) -> Iterator[bytes]:
    """Read the peer's sessions in random order."""
    return cycle([request("GET", "/sessions", cookie=cookie) for cookie in _cookies(sessions)])


def express_patches(sessions: SessionSet) -> Iterator[bytes]:
    """Replace the context of the peer's sessions in random order."""
    return cycle([request("PATCH", "/sessions", _PATCH, cookie=cookie) for cookie in _cookies(sessions)])


def express_counts(sessions: SessionSet) -> Iterator[bytes]:
    """Count uses of the peer's sessions in random order."""
    return cycle([request("POST", "/sessions/count", {}, cookie=cookie) for cookie in _cookies(sessions)])


def express_session_id(number: int) -> str:
    """Return the id of one of the peer's sessions."""
    return f"{number:032x}"


def request(method: str, path: str, body: object = None, **headers: str) -> bytes:
    """Return a request with a body of JSON, if there is one."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    if content:
        headers |= {"content-type": "application/json", "content-length": str(len(content))}
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _initialize(language: str, script: str) -> bytes:
    body = {"context": json.loads(CONTEXT), "script_content": script}
    return request("POST", "/api/v1/initialize", body, **{"language-title": f"{language}-calculator"})


def _ids(sessions: SessionSet) -> list[str]:
    return [str(sessions.key(number).session_id) for number in sessions.sample()]


def _cookies(sessions: SessionSet) -> list[str]:
    return [_cookie(express_session_id(number)) for number in sessions.sample()]


def _cookie(session_id: str) -> str:
    digest = hmac.digest(SESSION_SECRET.encode(), session_id.encode(), hashlib.sha256)
    signature = base64.b64encode(digest).decode().rstrip("=")
    return "connect.sid=" + quote(f"s:{session_id}.{signature}", safe="")
