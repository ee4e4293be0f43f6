"""One HTTP request as endpoints see it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from starlette.types import Receive, Scope

from domain.access.principal import NOBODY, Principal
from domain.scripts.ports import ScriptRun
from entrypoints.telemetry.tracing.trace import Trace

Header = tuple[bytes, bytes]

WHOLE_ANSWER = "pglambda.whole_answer"
"""The name of an ASGI extension: a function of status, headers (names in lower case) and body that sends all at once.

It returns False where that is not possible, and then nothing was sent. Its method `hang_up` breaks the connection off.
"""


class Request:
    """A request: its id, its channels, and what becomes known of it on the way.

    `parameters` are those of its path, already parsed; `caller` is who is calling; `answer_headers` go with its answer,
    whatever that will be; `inside` is whether it holds a place; `made_session_id` and `execution_id` are those of the
    session and of the execution that it made, `error_code` that of the error it is answered with,
    `database_s` the seconds that it has waited for the database, `trace` its place in a trace.
    """

    __slots__ = (
        "_headers",
        "answer_headers",
        "caller",
        "database_s",
        "error_code",
        "execution_id",
        "identifier",
        "inside",
        "made_session_id",
        "operation",
        "parameters",
        "receive",
        "scope",
        "trace",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.parameters: dict[str, Any] = {}
        self.caller: Principal = NOBODY
        self.identifier = b""
        self.operation: Any = None
        self.answer_headers: tuple[Header, ...] = ()
        self.inside = False
        self.made_session_id: UUID | None = None
        self.execution_id: UUID | None = None
        self.error_code: str | None = None
        self.database_s = 0.0
        self.trace: Trace | None = None
        self._headers = _by_name(scope["headers"])

    @property
    def whole_answer(self) -> Callable[[int, Iterable[Header], bytes], bool] | None:
        """What the server offers for sending an answer in one piece; None where it offers nothing."""
        extensions = self.scope.get("extensions")
        return extensions.get(WHOLE_ANSWER) if extensions else None

    def waited(self, name: str, duration_s: float) -> None:
        """Take note of a wait for the database that has ended; `name` says for what."""
        self.database_s += duration_s
        if self.trace is not None:
            self.trace.waited(name, duration_s)

    def noted(self, run: ScriptRun) -> None:
        """Take note of a run that is made for this request; of several, the first."""
        self.execution_id = self.execution_id or run.execution_id

    @property
    def session_id(self) -> UUID:
        """The session's id in the path."""
        identifier: UUID = self.parameters["request_id"]
        return identifier

    @property
    def query_string(self) -> bytes:
        """What follows the `?`, as it came."""
        raw: bytes = self.scope["query_string"]
        return raw

    @property
    def path(self) -> str:
        """The path as the client wrote it, with the prefix under which the application is mounted."""
        prefix: str = self.scope.get("root_path", "")
        path: str = self.scope["path"]
        return path if path.startswith(prefix) else prefix + path

    @property
    def route_path(self) -> str:
        """The path without the prefix under which the application is mounted."""
        path: str = self.scope["path"]
        prefix = self.scope.get("root_path", "")
        return path.removeprefix(prefix) if prefix else path

    def header(self, name: bytes) -> str | None:
        """Return the value of a header (name in lower case); several of one name are one list, joined by commas."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def raw_header(self, name: bytes) -> bytes | None:
        """Return the value of a header as it came."""
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
