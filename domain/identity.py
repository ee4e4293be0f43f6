"""Owners, and the ids of sessions and executions."""

from datetime import UTC, datetime, timedelta
from typing import NewType
from uuid import UUID

from attrs import frozen

Owner = NewType("Owner", str)

ANONYMOUS = Owner("anonymous")
"""The owner of all objects while authentication is off; never the owner of a token."""

SHARED = Owner("shared")
"""The owner of functions that everybody may use; never the owner of a token or key."""

EVERY_OWNER = Owner("*")
"""Stands in place of an owner for reads, lists and closes across owners; never an owner itself."""

OWNER_SIZE_MAX = 255
"""Bytes of UTF-8; the maximum of an OpenID Connect subject."""

_RESERVED = frozenset({ANONYMOUS, SHARED, EVERY_OWNER})

INSTANT_MAX = datetime(3000, 1, 1, tzinfo=UTC)
"""The latest instant of an id: no clock is so far ahead, and time spans can still be added to it."""

NO_ID = UUID(int=0)
"""The nil UUID; it is less than every id."""

MAX_ID = UUID(int=(1 << 128) - 1)
"""The max UUID; it is greater than every id."""

BUCKET_BITS = 8
"""The last bits of an id name the bucket of its session: where its rows lie in a distributed database."""

_UUID7 = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_US_MAX = (INSTANT_MAX - _EPOCH) // _MICROSECOND
_TICKS_PER_MS = 4096
_US_PER_MS = 1000
_MS_MAX = _US_MAX // _US_PER_MS


class OwnerRefused(ValueError):
    """The text cannot be an owner; the error's text says why."""


def parse_owner(text: str) -> Owner:
    """Return the text as the owner of a token or key; raises OwnerRefused, also for a reserved name."""
    if is_reserved(text):
        raise OwnerRefused(f"{text!r} is reserved")
    return named_owner(text)


def is_reserved(text: str) -> bool:
    """Return whether the name is reserved, in whatever case: no token or key may have it as its owner."""
    return text.casefold() in _RESERVED


def named_owner(text: str) -> Owner:
    """Return the text as an owner to search for, which may be a reserved name; raises OwnerRefused.

    An owner is 1 to 255 bytes of printable Unicode without a space at its ends.
    """
    if not text or not text.isprintable() or text != text.strip():
        raise OwnerRefused("an owner has printable characters only, and no space at its ends")
    if len(text.encode()) > OWNER_SIZE_MAX:
        raise OwnerRefused(f"an owner has at most {OWNER_SIZE_MAX} bytes of UTF-8")
    return Owner(text)


@frozen(cache_hash=True)  # a ref is hashed several times on its way to the database and back
class SessionRef:
    """The owner and id of a session; every statement about a session is scoped to both."""

    owner: Owner
    session_id: UUID


def uuid7_at(now: datetime, random_bits: int) -> UUID:
    """Return the UUIDv7 for `now` (aware, UTC) and 62 random bits.

    The twelve bits after the version are the fraction of the millisecond (RFC 9562, section 6.2, method 3),
    rounded up, so that `uuid7_time` gives `now` back to the microsecond.
    """
    since_us = (now - _EPOCH) // _MICROSECOND
    since_ms, fraction_us = divmod(since_us, _US_PER_MS)
    ticks = -(-fraction_us * _TICKS_PER_MS // _US_PER_MS)
    return UUID(int=since_ms << 80 | 0x7 << 76 | ticks << 64 | 0b10 << 62 | random_bits)


def is_own_id(identifier: UUID) -> bool:
    """Return whether this service can have made the id: it is a UUIDv7 with an instant before INSTANT_MAX.

    Sessions that were taken over from another service have ids of any kind.
    """
    return identifier.version == _UUID7 and uuid7_time(identifier) < INSTANT_MAX


def bucket_bits(identifier: UUID) -> int:
    """Return the last bits of an id, which name the bucket of a new one; of an old or foreign one they say nothing."""
    return identifier.int & (1 << BUCKET_BITS) - 1


def uuid7_ms(identifier: UUID) -> int:
    """Return the time in an id in whole milliseconds since 1970-01-01, at most that of INSTANT_MAX.

    A caller may send any id. The time in a foreign id has no meaning, and is within these bounds too.
    """
    return min(identifier.int >> 80, _MS_MAX)


def uuid7_time(identifier: UUID) -> datetime:
    """Return the instant for which `uuid7_at` made the id; for any other id an instant that `uuid7_ms` bounds."""
    ticks = identifier.int >> 64 & 0xFFF
    since_us = uuid7_ms(identifier) * _US_PER_MS + ticks * _US_PER_MS // _TICKS_PER_MS
    return _EPOCH + min(since_us, _US_MAX) * _MICROSECOND  # its constructor takes three times as long
