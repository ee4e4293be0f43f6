"""Parameters in paths, parsed once."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from domain.session import SessionNotFound

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)


def parse_request_id(text: str) -> UUID:
    """Return the id; a text that is no UUID names no session: raises SessionNotFound."""
    if not _UUID.fullmatch(text):
        raise SessionNotFound
    return UUID(text)


PARSERS: Mapping[str, Callable[[str], Any]] = {"request_id": parse_request_id}
"""How each parameter is read, by its name in path templates."""
