"""Ids that the service did not make, as any caller may send them."""

import random
from typing import Any
from uuid import UUID

_VARIANT = 0b10 << 62


def uuid_of(version: int, since_ms: int, rest: int = 0) -> UUID:
    """Return an id with this version and this time."""
    return UUID(int=since_ms << 80 | version << 76 | _VARIANT | rest)


def random_v4(number: int, seed: int = 4) -> list[UUID]:
    """Return so many random UUIDv4, the same ones each time."""
    source = random.Random(seed)
    return [UUID(int=source.getrandbits(128), version=4) for _ in range(number)]


_MS_MAX = (1 << 48) - 1
_YEAR_9999_MS = 253_402_300_799_999

EXTREMES = [
    UUID(int=0),
    UUID(int=1),
    UUID(int=(1 << 128) - 1),
    UUID(int=(1 << 128) - 2),
    UUID(int=(1 << 127) - 1),
    UUID(int=1 << 127),
    *(uuid_of(version, 0) for version in (0, 4, 7, 15)),
    *(uuid_of(version, 1_767_322_984_567) for version in (0, 1, 4, 15)),
    *(uuid_of(version, _YEAR_9999_MS + more) for version in (4, 7) for more in (0, 1)),
    *(uuid_of(version, _MS_MAX, (1 << 62) - 1) for version in (0, 4, 7, 15)),
    # The largest time with a version 7, and every other bit set but that of the variant.
    UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"),
    # A version 7 of another variant.
    UUID("01a2101f-a3da-7b64-0000-000000000002"),
    UUID("ffffffff-ffff-7fff-ffff-ffffffffffff"),
]
"""No time, the largest one, times about the end of the calendar, and bits of version and variant that mean nothing."""

TAKEN = [
    UUID("00000000-0000-4000-8000-000000000000"),
    UUID("01a2101f-a3da-4b64-8000-000000000002"),
    UUID("ffffffff-ffff-4fff-bfff-ffffffffffff"),
    uuid_of(7, 4_000_000_000_000),
    *random_v4(3),
]
"""Ids that sessions of another service may have: with no time, a time of the
service, the largest one, and a time to come."""

UNKNOWN = UUID("01a2101f-a3da-7b64-8000-000000000002")
"""As the service makes them."""

CALLS: list[tuple[str, str, Any, dict[str, str]]] = [
    ("GET", "/api/v1/sessions/{}", None, {}),
    ("PATCH", "/api/v1/sessions/{}", {"metadata": {"a": 1}}, {}),
    ("DELETE", "/api/v1/sessions/{}", None, {}),
    ("GET", "/api/v1/sessions/{}/executions", None, {}),
    ("POST", "/api/v1/execute/{}", {"params": 1}, {}),
    ("POST", "/api/v1/execute/{}", {"params": 1}, {"idempotency-key": "k"}),
    ("POST", "/api/v1/execute/{}/batch", {"items": [{"params": 1}]}, {}),
    ("GET", "/api/v1/executions/{}", None, {}),
]
"""Method, path, body and headers of every call that names an id."""
