"""The ranges of bytes that callers ask for (RFC 9110, section 14)."""

import re

from domain.files.file import Span
from entrypoints.http.errors import RangeNotSatisfiable
from entrypoints.http.request import Request

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def span_of(request: Request, size: int, tag: str) -> Span | None:
    """Return the span that `Range` asks for, of content with this size and entity tag; None for the whole.

    Several ranges, other units and what is malformed mean the whole, and so does a range whose `If-Range` names another
    tag, a weak one, or an instant. Raises RangeNotSatisfiable if the range begins behind the end.
    """
    header, condition = request.header(b"range"), request.header(b"if-range")
    found = None if header is None else _RANGE.fullmatch(header)
    if found is None or condition not in (None, f'"{tag}"'):
        return None
    first, last = found.groups()
    if not first:
        return _suffix(last, size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise RangeNotSatisfiable(size)
    return Span(int(first), min(int(last), size - 1) if last else size - 1)


def _suffix(length: str, size: int) -> Span | None:
    """Return the span of so many bytes at the end."""
    if not length:
        return None
    if int(length) == 0 or size == 0:
        raise RangeNotSatisfiable(size)
    return Span(max(0, size - int(length)), size - 1)
