"""What a caller wants of a response: preferences (RFC 7240), and live events."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from attrs import frozen

from entrypoints.http.event_stream import EventFormat, NdjsonEvents, ServerSentEvents
from entrypoints.http.parsing.accept import preferred
from entrypoints.http.request import Header, Request
from entrypoints.http.response import EVENT_STREAM, JSON, NDJSON

WAIT_MAX_S = 60
"""The longest wait in seconds; a longer one is shortened to it, and the response says so."""

_PREFERENCES_MAX = 16
_REMEMBERED_MAX = 128
"""Texts of the header whose meaning is kept: callers send few."""

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PREFERENCE = re.compile(rf"\s*({_WORD})(?:\s*=\s*({_WORD}|{_QUOTED}))?\s*(?:;[^,]*)?")
_RESPOND_ASYNC = "respond-async"
_WAIT = "wait"
_CANCEL = "cancel-on-disconnect"


@frozen
class Preferences:
    """What a caller prefers. `wait_s` is None if the caller names no time to wait.

    `cancel_on_disconnect` ends an execution whose caller leaves before its end.
    """

    respond_async: bool = False
    wait_s: int | None = None
    cancel_on_disconnect: bool = False

    @property
    def may_be_accepted(self) -> bool:
        """Whether the caller takes 202 for an answer."""
        return self.respond_async or self.wait_s is not None

    def applied(self) -> tuple[Header, ...]:
        """Return the header that names the preferences that were honoured."""
        names = [_RESPOND_ASYNC] if self.respond_async else []
        names += [] if self.wait_s is None else [f"{_WAIT}={self.wait_s}"]
        names += [_CANCEL] if self.cancel_on_disconnect else []
        return ((b"preference-applied", ", ".join(names).encode("ascii")),) if names else ()


NO_PREFERENCES = Preferences()


def preferences(request: Request) -> Preferences:
    """Return the preferences of a request; unknown and malformed ones are ignored, as RFC 7240 wants it."""
    given = request.raw_header(b"prefer")
    return NO_PREFERENCES if given is None else _preferences(given)


@lru_cache(_REMEMBERED_MAX)
def _preferences(text: bytes) -> Preferences:
    found: dict[str, str] = {}
    for name, value in _pairs(text.decode("latin-1")):
        found.setdefault(name, value)  # of a repeated preference the first counts
    wait = found.get(_WAIT, "")
    return Preferences(
        _RESPOND_ASYNC in found,
        min(int(wait), WAIT_MAX_S) if re.fullmatch(r"[0-9]{1,4}", wait) else None,
        _CANCEL in found,
    )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for each in text.split(",")[:_PREFERENCES_MAX]:
        match = _PREFERENCE.fullmatch(each)
        if match:
            yield match[1].lower(), (match[2] or "").strip('"')


_FORMATS: Mapping[bytes, EventFormat] = {EVENT_STREAM: ServerSentEvents(), NDJSON: NdjsonEvents()}


def accepted_format(accept: bytes | None, *, or_json: bool = True) -> EventFormat | None:
    """Return the format of live events that a header `Accept` prefers; None if it prefers JSON, or no type of these."""
    if accept is None:
        return None
    offered = (JSON, EVENT_STREAM, NDJSON) if or_json else (EVENT_STREAM, NDJSON)
    return _FORMATS.get(preferred(accept, offered) or JSON)
