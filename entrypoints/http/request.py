"""One HTTP request as endpoints see it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.types import Receive, Scope

from domain.principal import ANYBODY, Principal


class Request:
    """The scope of a request, its receive channel, the parameters of its path, already parsed, and who is calling."""

    __slots__ = ("caller", "parameters", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, parameters: Mapping[str, Any]) -> None:
        self.scope = scope
        self.receive = receive
        self.parameters = parameters
        self.caller: Principal = ANYBODY

    @property
    def request_id(self) -> UUID:
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

    def header(self, name: bytes) -> str | None:
        """Return the value of a header (name in lower case); several of one name are one list, joined by commas."""
        values = [value for key, value in self.scope["headers"] if key == name]
        return b", ".join(values).decode("latin-1") if values else None
