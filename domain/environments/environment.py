"""An environment: a name, versions that never change, and the errors of those who name them."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from attrs import define, field, frozen

from domain.environments.build import Build, BuildStatus
from domain.environments.lock import Lock
from domain.environments.node_lock import read_node_lock
from domain.environments.python_lock import read_python_lock
from domain.errors import Conflict, NotFound
from domain.identity import Owner
from domain.scripts.language import Language

NAME_PATTERN = "^[a-z][a-z0-9-]{0,31}$"
"""The grammar of names, in the regular expressions of JSON Schema."""
PINNED_PATTERN = "^[a-z][a-z0-9-]{0,31}(@[1-9][0-9]{0,8})?$"
"""The grammar of names that may end with a version, such as `data@3`."""
PRELOADED_MAX = 64
OWNERS_MAX = 256
DESCRIPTION_SIZE_MAX = 2048
"""Bytes of UTF-8."""
VERSIONS_MAX = 1_000
"""Versions of all environments together."""
PINNING_MAX = timedelta(hours=1)
"""So long after a version was retired, a call that found it before may still begin a session with it.

It is also how long a tree is kept that no build names: a build may be storing it.
"""
OLDER_MAX = 1_000
"""Sessions that a removal reads to see whether one of them has a version."""
BUILDING_RETRY_MS = 2_000

_READERS = {Language.PYTHON: read_python_lock, Language.NODEJS: read_node_lock}


@frozen
class EnvironmentVersion:
    """A version as it was created. `owners` may use it; None stands for all owners. `lock` is the canonical text."""

    name: str
    version: int
    language: Language
    lock: str = field(repr=False)
    preload: tuple[str, ...]
    owners: tuple[Owner, ...] | None
    description: str
    created_at: datetime
    author: str
    retired_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    def serves(self, owner: Owner) -> bool:
        """Return whether sessions of this owner may use it."""
        return self.owners is None or owner in self.owners

    def has_content_of(self, other: "EnvironmentVersion") -> bool:
        """Return whether a build of the other one would make the same, for the same owners."""
        mine, its = ((v.language, v.lock, v.preload, v.owners) for v in (self, other))
        return mine == its


@frozen
class StoredEnvironment:
    """A version with its builds."""

    version: EnvironmentVersion
    builds: Sequence[Build] = ()

    @property
    def status(self) -> str:
        """What the version can be used for: `queued`, `building`, `ready`, `failed` or `retired`."""
        if self.version.retired_at is not None:
            return "retired"
        found = {build.status for build in self.builds}
        return next((str(status) for status in _BEST_FIRST if status in found), "queued")

    def on(self, platform: str) -> Build | None:
        """Return the build for a platform, if it has begun."""
        return next((build for build in self.builds if build.platform == platform), None)


_BEST_FIRST = (BuildStatus.READY, BuildStatus.BUILDING, BuildStatus.FAILED)


def lock_of(language: Language, text: str) -> Lock:
    """Return the lock in a text; raises LockRefused."""
    return _READERS[language](text)


def pinned_name(text: str) -> tuple[str, int | None]:
    """Return the name and the version of a text such as `data@3` or `data`; raises ValueError."""
    if not re.fullmatch(PINNED_PATTERN, text):
        raise ValueError(text)
    name, _, version = text.partition("@")
    return name, int(version) if version else None


@define(eq=False)
class EnvironmentNotFound(NotFound):
    """No such environment, or it is not for this owner."""

    code: ClassVar[str] = "ENVIRONMENT_NOT_FOUND"
    name: str | None
    """None if it is not known beside a text that is no version."""
    version: int | str | None = None

    @property
    def message(self) -> str:
        named = f"with version {self.version}" if self.name is None else _spelled(self.name, self.version)
        return (
            f"There is no environment {named} that you may use, so nothing was done. "
            "Correct the name, or ask the operator, who can list them."
        )

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"name": self.name, "version": self.version if isinstance(self.version, int) else None}
        return {name: fact for name, fact in facts.items() if fact is not None}


@define(eq=False)
class EnvironmentNotReady(Conflict):
    """The environment exists, and scripts cannot use it: it is not built yet, could not be built, or is retired."""

    code: ClassVar[str] = "ENVIRONMENT_NOT_READY"
    name: str
    version: int | None
    status: str
    reason: str = ""

    @property
    def message(self) -> str:
        what = f"The environment {_spelled(self.name, self.version)}"
        return {
            "retired": f"{what} is retired, so no session can begin with it. Name another version, or none.",
            "failed": f"{what} could not be built: {self.reason or 'see its log'}. Correct it and create it again.",
        }.get(self.status, f"{what} is not built yet ({self.status}). Repeat the call after a moment.")

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"name": self.name, "version": self.version, "status": self.status}
        return facts if self.status in ("retired", "failed") else facts | {"retry_after_ms": BUILDING_RETRY_MS}


@define(eq=False)
class EnvironmentConflict(Conflict):
    """Another call has created a version of the environment meanwhile."""

    code: ClassVar[str] = "CONFLICT"
    name: str

    @property
    def message(self) -> str:
        return (
            f"Other calls have created versions of the environment {self.name} meanwhile, so nothing was stored. "
            "Repeat the call."
        )


def _spelled(name: str, version: int | str | None) -> str:
    return name if version is None else f"{name}@{version}"
