"""Parameters in paths, parsed once."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from domain.executions.execution import ExecutionNotFound
from domain.idempotency import NO_SESSION
from domain.sessions.session import SessionNotFound

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)


def parse_session_id(text: str) -> UUID:
    """Return the id; a text that is no UUID names no session: raises SessionNotFound.

    Nor does the nil UUID, which has the idempotency keys of calls that make sessions.
    """
    if not _UUID.fullmatch(text) or (session_id := UUID(text)) == NO_SESSION:
        raise SessionNotFound
    return session_id


def parse_execution_id(text: str) -> UUID:
    """Return the id; a text that is no UUID names no execution: raises ExecutionNotFound."""
    if not _UUID.fullmatch(text):
        raise ExecutionNotFound
    return UUID(text)


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "request_id": parse_session_id,
    "execution_id": parse_execution_id,
    "language_title": str,
}
"""How each parameter is read, by its name in path templates."""
