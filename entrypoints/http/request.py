"""One HTTP request as guards and endpoints see it, and its end when the client disconnects."""

import asyncio
import re
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote, unquote_to_bytes
from uuid import UUID

from attrs import define, field
from starlette.types import Receive, Scope

from domain.access.principal import NOBODY, Principal
from domain.access.principal import Scope as AccessScope
from domain.audit import Actor
from domain.concurrency.budget import TimerWheel
from domain.functions.function import Function
from domain.identity import Owner, SessionRef
from domain.scripts.ports import ScriptRun
from entrypoints.telemetry.tracing.trace import Trace

Header = tuple[bytes, bytes]
"""Name in lower case, and value."""

Result = TypeVar("Result")

_ENCODED_SLASH = re.compile(b"%2f", re.IGNORECASE)
_NO_ADDRESS = "unknown"
"""The origin of a request over a socket without addresses."""

_WATCH_AFTER_S = 0.1
"""Most calls end sooner, and need no task that watches their client."""


class Request:
    """An HTTP request, and what the service learns about it on the way.

    `route` is the row of the route table, None until it is found. `parameters` are those of the path, parsed; a runtime
    host adds the ids of its messages. `id` is empty if the server gives requests none.
    `response_headers` are added to the response, also to an error. `in_flight` says that the in-flight limiter counts
    the request, and `is_passed_on` that the origin serves it. `created_session_id`, `execution_id`, `function`, which
    the call has changed, and `error_code` go to the access log. `database_s` is the time in seconds spent waiting for
    the database.
    """

    __slots__ = (
        "_headers",
        "caller",
        "created_session_id",
        "database_s",
        "error_code",
        "execution_id",
        "function",
        "id",
        "in_flight",
        "is_passed_on",
        "parameters",
        "receive",
        "response_headers",
        "route",
        "scope",
        "trace",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.parameters: dict[str, Any] = {}
        self.caller: Principal = NOBODY
        self.id = b""
        self.route: Any = None
        self.response_headers: tuple[Header, ...] = ()
        self.in_flight = False
        self.is_passed_on = False
        self.created_session_id: UUID | None = None
        self.execution_id: UUID | None = None
        self.function: Function | None = None
        self.error_code: str | None = None
        self.database_s = 0.0
        self.trace: Trace | None = None
        self._headers = _by_name(scope["headers"])

    def waited(self, name: str, duration_s: float) -> None:
        """Add a wait for the database that has ended; `name` says for what."""
        self.database_s += duration_s
        if self.trace is not None:
            self.trace.waited(name, duration_s)

    def record_run(self, run: ScriptRun) -> None:
        """Keep the id of the first run that is made for this request."""
        self.execution_id = self.execution_id or run.execution_id

    @property
    def owner(self) -> Owner:
        """The owner that the caller acts for."""
        return self.caller.owner

    @property
    def actor(self) -> Actor:
        """The caller and its address, as acts are recorded."""
        return Actor(self.caller.owner, self.client or _NO_ADDRESS)

    @property
    def client(self) -> str | None:
        """The address of the client; None if the server knows none."""
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def is_admin(self) -> bool:
        """Whether the caller may see details of the process."""
        return AccessScope.ADMIN in self.caller.scopes

    @property
    def session_id(self) -> UUID:
        """The id of the session in the path."""
        session_id: UUID = self.parameters["request_id"]
        return session_id

    @property
    def session_ref(self) -> SessionRef:
        """The session in the path, among the caller's own."""
        return SessionRef(self.caller.owner, self.session_id)

    @property
    def reachable_session_ref(self) -> SessionRef:
        """The session in the path, among those that the caller may read and close. An admin reaches all owners."""
        return SessionRef(self.caller.reach, self.session_id)

    @property
    def query_string(self) -> bytes:
        """The text after the `?`, as received."""
        raw: bytes = self.scope["query_string"]
        return raw

    @property
    def path(self) -> str:
        """The path as the client sent it, with the prefix under which the application is mounted."""
        prefix: str = self.scope.get("root_path", "")
        path: str = self.scope["path"]
        return path if path.startswith(prefix) else prefix + path

    @property
    def route_path(self) -> str:
        """The path without the prefix under which the application is mounted. An encoded slash stays encoded."""
        path: str = self.scope["path"]
        if _ENCODED_SLASH.search(self.scope.get("raw_path") or b""):
            # As a separator it would pass rules of a proxy, which compares paths as they are written.
            path = unquote(_ENCODED_SLASH.sub(b"%252F", self.scope["raw_path"]).decode("latin-1"))
        prefix = self.scope.get("root_path", "")
        return path.removeprefix(prefix) if prefix else path

    @property
    def has_utf8_path(self) -> bool:
        """Whether the path is UTF-8; in the parsed one U+FFFD stands for what is not."""
        try:
            unquote_to_bytes(self.scope.get("raw_path") or b"").decode()
        except UnicodeDecodeError:
            return False
        return True

    def header(self, name: bytes) -> str | None:
        """Return the value of a header without outer blanks, None if it is absent; commas join repeated ones."""
        value = self._headers.get(name)
        return None if value is None else value.strip(b" \t").decode("latin-1")

    def raw_header(self, name: bytes) -> bytes | None:
        """Return the value of a header as bytes, None if it is absent."""
        return self._headers.get(name)


def _by_name(headers: Iterable[Header]) -> Mapping[bytes, bytes]:
    headers = list(headers)
    table = dict(headers)
    if len(table) == len(headers):
        return table
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


class ClientDisconnected(Exception):
    """The client closed the connection before its response."""


async def until_disconnect(receive: Receive, call: Coroutine[Any, Any, Result]) -> Result:
    """Await `call`. If the client disconnects first, cancel the call and raise ClientDisconnected.

    The body must have been read. A disconnect is noticed after 0.1 s at the earliest.
    """
    loop = asyncio.get_running_loop()
    caller = asyncio.current_task(loop)
    assert caller is not None
    watch = _DisconnectWatch(receive, caller)
    soon = TimerWheel.of(loop).schedule(watch, loop.time() + _WATCH_AFTER_S)
    try:
        return await call
    except asyncio.CancelledError:
        if not watch.is_disconnected:
            raise
        caller.uncancel()
        raise ClientDisconnected from None
    finally:
        soon.discard(watch)
        watch.stop()


@define(eq=False)
class _DisconnectWatch:
    """Cancels the caller when its client disconnects."""

    _receive: Receive
    _caller: "asyncio.Task[Any]"
    is_disconnected: bool = field(default=False, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    def expire(self) -> None:
        """Start to watch."""
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_disconnected = True
        self._caller.cancel()
