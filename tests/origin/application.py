"""The HTTP API of the origin, answer by answer."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from attrs import define
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.origin import instants
from tests.origin.json_values import dumps, ordered, parse
from tests.origin.runtimes import Runtimes
from tests.origin.sessions import OriginError, Session
from tests.origin.stores import Database, Sessions

VERSIONS = {"g1": "0.1.0", "g2": "0.1.0", "g3": "0.2.0"}
_BODY_MAX = 2 * 1024 * 1024
_VISIBLE = re.compile(rb"[\t\x20-\x7e]*")
_NUMBER = re.compile(r"[+-]?[0-9]+")
_ABSENT = "Session not found or expired"
_LIST = """
    SELECT language_title, description, created_by IS NOT NULL AS dynamic, created_at, updated_at FROM meta.functions
    WHERE (%(language)s::text IS NULL OR language = %(language)s)
        AND (%(user_id)s::text IS NULL OR created_by = %(user_id)s)
        AND (%(dynamic)s::boolean IS NULL OR (created_by IS NOT NULL) = %(dynamic)s)
    ORDER BY created_at DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_DETAIL = """
    SELECT language, title, language_title, description, created_by, created_at, updated_at,
        schema_definition::text AS schema, examples::text AS examples
    FROM meta.functions WHERE language_title = %(title)s
"""


class Refused(Exception):
    """A body or a query that the web framework rejects, in plain text."""

    def __init__(self, text: str, status: int = 400) -> None:
        self.text, self.status = text, status


def answer(content: dict[str, Any], status: int = 200) -> Response:
    return Response(dumps(content), status, media_type="application/json")


def failure(text: str, status: int) -> Response:
    return answer({"error": text}, status)


async def body_of(request: Request, *required: str) -> dict[str, Any]:
    """Return the members of a JSON object; raises Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Refused("Content type error")
    text = await request.body()
    if len(text) > _BODY_MAX:
        size = f"JSON payload ({len(text)} bytes) is larger than allowed (limit: {_BODY_MAX} bytes)."
        raise Refused(size, 413)
    try:
        members = parse(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"Json deserialize error: {error}") from error
    if not isinstance(members, dict):
        raise Refused(f"Json deserialize error: invalid type, expected a struct at line 1 column {len(text)}")
    for name in required:
        if name not in members:
            raise Refused(f"Json deserialize error: missing field `{name}` at line 1 column {len(text)}")
    return members


@define(eq=False)
class Controller:
    """The origin's controller: an ASGI application without middleware."""

    sessions: Sessions
    database: Database
    runtimes: Runtimes
    version: str
    script_size_max: int

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by method and path; anything else is 404 without a body."""
        request = Request(scope, receive)
        respond, parts = self._route(request.method, scope["raw_path"].decode("latin-1"))
        try:
            response = await respond(request, *parts)
        except Refused as refused:
            response = PlainTextResponse(refused.text, refused.status)
        await response(scope, receive, send)

    def _route(self, method: str, path: str) -> tuple[Callable[..., Awaitable[Response]], list[str]]:
        for of_method, pattern, respond in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == of_method:
                return getattr(self, respond), [unquote(part) for part in found.groups()]
        return self._nothing, []

    async def _nothing(self, request: Request) -> Response:
        return Response(status_code=404)

    async def initialize(self, request: Request) -> Response:
        members = await body_of(request, "context")
        title, user = request.headers.get("language-title"), request.headers.get("x-user-id")
        script, options = members.get("script_content"), members.get("compile_options")
        if script is not None and not isinstance(script, str):
            raise Refused("Json deserialize error: invalid type, expected a string")
        if title is None or not _VISIBLE.fullmatch(title.encode("latin-1")):
            return failure(f"{'Missing' if title is None else 'Invalid'} Language-Title header", 400)
        if user is not None and not _VISIBLE.fullmatch(user.encode("latin-1")):
            user = None
        if len((script or "").encode()) > self.script_size_max:
            return failure("Script content exceeds maximum size", 400)
        try:
            session = await self.sessions.create(title, user, members["context"], script, options)
        except OriginError as error:
            return failure(f"Failed to create session: {error}", 500)
        expires_at = instants.text(session.expires_at)
        return answer({"request_id": session.request_id, "status": "initialized", "expires_at": expires_at})

    async def execute(self, request: Request, request_id: str) -> Response:
        """Read, run, write back what was read with one more in its count: two at once count as one."""
        params = (await body_of(request, "params"))["params"]
        session = await self._found(request_id)
        if isinstance(session, Response):
            return session
        try:
            ran = await self.runtimes.execute(session, params)
        except OriginError as error:
            return failure(f"Failed to execute function: {error}", 500)
        try:
            await self.sessions.update(session.executed())
        except OriginError as error:
            return failure(f"Failed to update session: {error}", 500)
        facts = {"result": ran["result"], "request_id": session.request_id}
        return answer(facts | {name: ran[name] for name in ("execution_time_ms", "memory_usage_bytes")})

    async def session(self, request: Request, request_id: str) -> Response:
        session = await self._found(request_id)
        if isinstance(session, Response):
            return session
        stated = {
            name: instants.text(getattr(session, name)) for name in ("created_at", "expires_at", "last_executed_at")
        }
        names = ("request_id", "language_title", *stated, "execution_count", "status", "compile_status")
        return answer({name: stated[name] if name in stated else getattr(session, name) for name in names})

    async def functions(self, request: Request) -> Response:
        query = request.query_params
        page, size = _number_of(query.get("page", "1")), _number_of(query.get("per_page", "20"))
        dynamic = {"predefined": False, "dynamic": True}.get(query.get("type", ""))
        asked = {"language": query.get("language"), "user_id": query.get("user_id"), "dynamic": dynamic}
        try:
            rows = await self.database.all(_LIST, **asked, limit=size, offset=(page - 1) * size)
        except OriginError as error:
            return failure(f"Failed to get functions: {error}", 500)
        return answer({"functions": [_listed(row) for row in rows]})

    async def function(self, request: Request, title: str) -> Response:
        try:
            rows = await self.database.all(_DETAIL, title=title)
        except OriginError as error:
            return failure(f"Failed to get function: {error}", 500)
        if not rows:
            return failure(f"Function with language_title '{title}' not found", 404)
        return answer(ordered(_detailed(rows[0])))

    async def health(self, request: Request) -> Response:
        return answer({"status": "ok", "version": self.version})

    async def test(self, request: Request) -> Response:
        return answer({"message": "Test endpoint works", "status": "ok"})

    async def test_functions(self, request: Request) -> Response:
        return answer({"message": "Function manager is accessible", "status": "ok"})

    async def _found(self, request_id: str) -> Session | Response:
        try:
            session = await self.sessions.get(request_id)
        except OriginError as error:
            return failure(f"Failed to get session: {error}", 500)
        return failure(_ABSENT, 404) if session is None else session


_ROUTES = (
    ("POST", "/api/v1/initialize", "initialize"),
    ("POST", "/api/v1/execute/([^/]+)", "execute"),
    ("GET", "/api/v1/sessions/([^/]+)", "session"),
    ("GET", "/api/v1/functions", "functions"),
    ("GET", "/api/v1/functions/([^/]+)", "function"),
    ("GET", "/health", "health"),
    ("GET", "/test", "test"),
    ("GET", "/test-function-manager", "test_functions"),
)


def _number_of(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Refused("Query deserialize error: invalid digit found in string")
    return int(text)


def _kind(dynamic: bool) -> str:
    return "dynamic" if dynamic else "predefined"


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    at = {name: instants.text(instants.of_row(row[name])) for name in ("created_at", "updated_at")}
    facts = {"language_title": row["language_title"], "description": row["description"], "type": _kind(row["dynamic"])}
    return facts | {"created_at": at["created_at"], "last_updated_at": at["updated_at"]}


def _detailed(row: dict[str, Any]) -> dict[str, Any]:
    at = {name: instants.text(instants.of_row(row[name])) for name in ("created_at", "updated_at")}
    values = {name: None if row[name] is None else parse(row[name]) for name in ("schema", "examples")}
    user = row.pop("created_by")
    return row | at | values | {"type": _kind(user is not None), "user_id": user, "script_content": None}
