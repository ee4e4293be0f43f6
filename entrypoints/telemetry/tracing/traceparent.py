"""The headers of W3C Trace Context: https://www.w3.org/TR/trace-context-2/."""

import random
import re
from collections.abc import Mapping

from attrs import frozen

PARENT = b"traceparent"
STATE = b"tracestate"

_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_STATE = re.compile(rb"[\x20-\x7e]{1,512}")
_ZEROS = re.compile(rb"0+")
_KNOWN_FLAGS = 0x03
"""Sampled, and random trace id. Unknown flags are not propagated."""


@frozen
class TraceContext:
    """A span in a trace: ids in lower-case hex digits, flags, and the state that vendors propagate."""

    trace_id: str
    span_id: str
    flags: int = 0
    state: str | None = None

    @classmethod
    def read(cls, parent: bytes, state: bytes | None) -> "TraceContext | None":
        """Parse the headers of a caller; returns None if the first is not valid."""
        found = _FORM.fullmatch(parent)
        if found is None:
            return None
        version, trace_id, span_id, flags, more = found.groups()
        beyond = version == b"ff" or (version == b"00" and more is not None)
        if beyond or _ZEROS.fullmatch(trace_id) or _ZEROS.fullmatch(span_id):
            return None
        kept = state.decode() if state is not None and _STATE.fullmatch(state) else None
        return cls(trace_id.decode(), span_id.decode(), int(flags, 16) & _KNOWN_FLAGS, kept)

    @classmethod
    def new(cls) -> "TraceContext":
        """Return the first span of a new trace, which is not sampled."""
        return cls(f"{_random_id(128):032x}", _new_span_id(), flags=0x02)

    def child(self) -> "TraceContext":
        """Return a child of this span."""
        return TraceContext(self.trace_id, _new_span_id(), self.flags, self.state)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a call within this span."""
        parent = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"}
        return parent if self.state is None else {**parent, "tracestate": self.state}


def _new_span_id() -> str:
    return f"{_random_id(64):016x}"


def _random_id(bits: int) -> int:
    """Return a number above zero; it has to be unique, not secret."""
    return random.getrandbits(bits) or 1
