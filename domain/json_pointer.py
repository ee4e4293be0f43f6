"""JSON pointers (RFC 6901) that say where a problem is."""

from collections.abc import Iterable

_SEGMENT_LENGTH_MAX = 128


def pointer(segments: Iterable[str | int]) -> str:
    """Return the pointer; a long segment is shortened, and what is no Unicode is written as an escape."""
    return "".join(f"/{_written(str(segment))}" for segment in segments)


def _written(segment: str) -> str:
    if len(segment) > _SEGMENT_LENGTH_MAX:
        segment = segment[:_SEGMENT_LENGTH_MAX] + "…"
    segment = segment.encode("utf-8", "backslashreplace").decode()
    return segment.replace("~", "~0").replace("/", "~1")
