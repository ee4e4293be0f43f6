"""The id of each request, which is in its answer and in the log."""

import itertools
import re
import secrets

from entrypoints.http.request import Request

HEADER = b"x-request-id"

_ID = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")


class RequestIds:
    """Takes over the `X-Request-ID` that a caller sends, or makes one."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def of(self, request: Request) -> bytes:
        """Return the request's id; one that is not 1 to 128 plain characters is replaced."""
        given = request.raw_header(HEADER)
        if given is not None and _ID.fullmatch(given):
            return given
        return f"{self._prefix}-{next(self._numbers):x}".encode()
