"""A build of a version: its lease, its end, and what it has measured."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import attrs
from attrs import define, field, frozen

LEASE = timedelta(seconds=30)
ATTEMPTS_MAX = 3
"""Builds of a version that were begun and not ended, before it counts as failed."""
LOG_SIZE_MAX = 262_144
"""Bytes of a log that are kept: the last ones."""
REASON_SIZE_MAX = 2_000


@define(eq=False)
class BuildFailed(Exception):
    """A version cannot be built. The message says why."""

    message: str

    def __str__(self) -> str:
        return self.message


class BuildStatus(StrEnum):
    """How far a build is. One that no builder has taken is not stored."""

    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@frozen
class BuildFacts:
    """What a build has measured, or why it failed. `cpu_ms` and `private_mb` are those of the preload list."""

    bytes: int | None = None
    files: int | None = None
    packed_bytes: int | None = None
    dropped: int | None = None
    cpu_ms: float | None = None
    private_mb: float | None = None
    data_mb: float | None = None
    mapped_mb: float | None = None
    reason: str | None = None

    def text(self) -> str:
        """Return the facts that are known as JSON."""
        known = {name: fact for name, fact in attrs.asdict(self).items() if fact is not None}
        return json.dumps(known, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @classmethod
    def of(cls, text: str | None) -> Self:
        """Return the facts of a text; those that a later release has added are left out."""
        known: Mapping[str, Any] = json.loads(text) if text else {}
        names = {each.name for each in attrs.fields(cls)}
        return cls(**{name: fact for name, fact in known.items() if name in names})

    @classmethod
    def failed(cls, reason: str) -> Self:
        """Return the facts of a build that failed."""
        return cls(reason=reason[:REASON_SIZE_MAX])


@frozen
class Build:
    """A build for a platform. `digest` names the tree of a ready one."""

    platform: str
    status: BuildStatus
    digest: str | None
    facts: BuildFacts
    log: str = field(repr=False)
    attempts: int
    lease_until: datetime


@frozen
class BuildClaim:
    """A builder that looks for a version to build. `builder` is new for each build."""

    builder: UUID
    language: str
    platform: str
    now: datetime

    @property
    def until(self) -> datetime:
        """When another builder may begin anew, unless the lease is renewed."""
        return self.now + LEASE


@frozen
class BuildEnd:
    """How a build has ended: with a tree, or without one as failed."""

    facts: BuildFacts
    digest: str | None = None


def last_of(log: str) -> str:
    """Return the end of a log, of LOG_SIZE_MAX bytes at most."""
    encoded = log.replace("\0", "�").encode(errors="replace")
    return encoded[-LOG_SIZE_MAX:].decode(errors="ignore")
