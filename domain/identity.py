"""Who owns a session and which one it is."""

from datetime import UTC, datetime, timedelta
from typing import NewType
from uuid import UUID

from attrs import frozen

Owner = NewType("Owner", str)

ANONYMOUS = Owner("anonymous")
"""The owner of everything while authentication is off; never the owner of a token."""

EVERY_OWNER = Owner("*")
"""Takes an owner's place where an admin reads, lists or closes across owners; never an owner itself."""

OWNER_SIZE_MAX = 255
"""Bytes of UTF-8; what OpenID Connect allows a subject to have."""

_RESERVED = frozenset({ANONYMOUS, EVERY_OWNER})

INSTANT_MAX = datetime(3000, 1, 1, tzinfo=UTC)
"""The latest time that an id stands for: no clock is that far ahead, and lengths of time can still be added to it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_MAX = (INSTANT_MAX - _EPOCH) // timedelta(milliseconds=1)
_TICKS_PER_MS = 4096
_US_PER_MS = 1000


class OwnerRefused(ValueError):
    """The text cannot be the owner of a token, a key or a session; the error's text says why."""


def parse_owner(text: str) -> Owner:
    """Return the text as an owner that somebody may act as, which no reserved name is; raises OwnerRefused."""
    if text.casefold() in _RESERVED:
        raise OwnerRefused(f"{text!r} is reserved")
    return named_owner(text)


def named_owner(text: str) -> Owner:
    """Return the text as an owner whose things are asked for, reserved names included; raises OwnerRefused.

    An owner is 1 to 255 bytes of printable Unicode that does not begin or end with a space.
    """
    if not text or not text.isprintable() or text != text.strip():
        raise OwnerRefused("an owner has printable characters only, and no space at its ends")
    if len(text.encode()) > OWNER_SIZE_MAX:
        raise OwnerRefused(f"an owner has at most {OWNER_SIZE_MAX} bytes of UTF-8")
    return Owner(text)


@frozen(cache_hash=True)  # a key is looked up several times on its way to the database and back
class SessionRef:
    """What every statement about a session is scoped to."""

    owner: Owner
    session_id: UUID


def uuid7_at(now: datetime, random_bits: int) -> UUID:
    """Return the UUIDv7 for `now` (aware, UTC) and 62 random bits.

    The twelve bits after the version are the fraction of the millisecond (RFC 9562, section 6.2, method 3),
    rounded up, so that `uuid7_time` gives `now` back to the microsecond.
    """
    since_us = (now - _EPOCH) // timedelta(microseconds=1)
    since_ms, fraction_us = divmod(since_us, _US_PER_MS)
    ticks = -(-fraction_us * _TICKS_PER_MS // _US_PER_MS)
    return UUID(int=since_ms << 80 | 0x7 << 76 | ticks << 64 | 0b10 << 62 | random_bits)


def uuid7_ms(identifier: UUID) -> int:
    """Return the time in an id in whole milliseconds since 1970-01-01; that of INSTANT_MAX when it lies beyond.

    A caller may send any id. One that `uuid7_at` did not make has a time too: it says nothing, and is within bounds.
    """
    return min(identifier.int >> 80, _MS_MAX)


def uuid7_time(identifier: UUID) -> datetime:
    """Return the instant at which `uuid7_at` made this identifier; of any other id an instant as `uuid7_ms` bounds it."""
    since_ms = uuid7_ms(identifier)
    ticks = identifier.int >> 64 & 0xFFF
    at = _EPOCH + timedelta(milliseconds=since_ms, microseconds=ticks * _US_PER_MS // _TICKS_PER_MS)
    return min(at, INSTANT_MAX)
