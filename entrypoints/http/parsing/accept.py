"""The media type of a response that a caller prefers, by its header Accept (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Mapping
from functools import lru_cache

_RANGES_MAX = 16
_REMEMBERED_MAX = 128
"""Texts of the header whose meaning is kept: callers send few."""

_WEIGHT = re.compile(r";[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)", re.IGNORECASE)


@lru_cache(_REMEMBERED_MAX)
def preferred(accept: bytes | None, offered: tuple[bytes, ...]) -> bytes | None:
    """Return which of the types the caller prefers, the first of those that it prefers alike; None if it takes none.

    A type that it names counts more than one that a range with `*` contains. Parameters of types are ignored.
    """
    if accept is None:
        return offered[0]
    ranges = _ranges(accept.decode("latin-1"))
    weights = {each: _weight(ranges, each.decode("ascii")) for each in offered}
    best = max(offered, key=weights.__getitem__)
    return best if weights[best][0] > 0 else None


def _ranges(accept: str) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for each in accept.split(",")[:_RANGES_MAX]:
        name, weight = each.partition(";")[0].strip().lower(), _WEIGHT.search(each)
        found[name] = max(found.get(name, 0.0), 1.0 if weight is None else float(weight[1]))
    return found


def _weight(ranges: Mapping[str, float], content_type: str) -> tuple[float, int]:
    """Return the weight of a type, and how exactly it is named."""
    kind = content_type.partition("/")[0]
    for exactness, name in enumerate((content_type, f"{kind}/*", "*/*")):
        if name in ranges:
            return ranges[name], -exactness
    return 0.0, 0
