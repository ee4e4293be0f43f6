"""Builders that default every field."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.identity import ANONYMOUS, SessionRef, uuid7_at
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle
from domain.scripts.limits import Isolation, Limits
from domain.sessions.session import Renewal, Session

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LIMITS = Limits(timeout_ms=5000, memory_mb=128, isolation=Isolation.SESSION)


def session_at(
    now: datetime = START, ttl_seconds: int = 100, lifetime_seconds_max: int = 1000, **fields: Any
) -> Session:
    defaults: dict[str, Any] = {
        "ref": SessionRef(ANONYMOUS, uuid7_at(now, 0)),
        "language_title": LanguageTitle.of("nodejs-calculator"),
        "script_hash": "ab" * 32,
        "context": JsonText('{"a": 1}'),
        "metadata": JsonText('{"b": 2}'),
        "limits": LIMITS,
        "renewal": Renewal.FIXED,
        "ttl_seconds": ttl_seconds,
        "expires_at": now + timedelta(seconds=ttl_seconds),
        "expires_max_at": now + timedelta(seconds=lifetime_seconds_max),
    }
    return Session(**defaults | fields)
