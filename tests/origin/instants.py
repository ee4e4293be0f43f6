"""Instants as the origin has them: whole nanoseconds since 1970, of the controller's clock."""

import time
from datetime import UTC, datetime, timedelta

SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    return time.time_ns()


def of_row(instant: datetime | None) -> int | None:
    """Return what PostgreSQL has, in microseconds, as nanoseconds."""
    return None if instant is None else (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def to_row(instant: int | None) -> datetime | None:
    """Return an instant truncated to the microseconds that PostgreSQL has."""
    return None if instant is None else _EPOCH + timedelta(microseconds=instant // 1000)


def text(instant: int | None, zone: str = "+00:00") -> str | None:
    """Return RFC 3339 with 0, 3, 6 or 9 digits, as few as the instant needs."""
    if instant is None:
        return None
    seconds, nanoseconds = divmod(instant, SECOND)
    digits = f"{nanoseconds:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{digits}{zone}" if digits else f"{whole}{zone}"


def of_text(text: str | None) -> int | None:
    """Return the instant of `text`, which ends in Z."""
    if text is None:
        return None
    whole, _, digits = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(f"{whole}+00:00") - _EPOCH) // timedelta(seconds=1)
    return seconds * SECOND + int(digits.ljust(9, "0"))
