"""JSON pointers (RFC 6901) to problems."""

from collections.abc import Iterable

_SEGMENT_LENGTH_MAX = 128


def pointer(segments: Iterable[str | int]) -> str:
    """Return the pointer; a long segment is cut, and a lone surrogate is escaped."""
    return "".join(f"/{_written(str(segment))}" for segment in segments)


def _written(segment: str) -> str:
    if len(segment) > _SEGMENT_LENGTH_MAX:
        segment = segment[:_SEGMENT_LENGTH_MAX] + "…"
    segment = segment.encode("utf-8", "backslashreplace").decode()
    return segment.replace("~", "~0").replace("/", "~1")
