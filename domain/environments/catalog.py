"""Which environment a session gets, and what a run uses of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, field, frozen

from domain.clock import Clock
from domain.concurrency.bounded_cache import BoundedCache
from domain.environments.build import BuildStatus
from domain.environments.environment import (
    EnvironmentNotFound,
    EnvironmentNotReady,
    EnvironmentVersion,
    StoredEnvironment,
)
from domain.environments.ports import EnvironmentRepository, Platforms
from domain.identity import Owner
from domain.scripts.environment import Environment

_CACHED_MAX = 1_000
_KEPT_FOR = timedelta(seconds=5)
"""So long a changed list of owners may be overlooked."""


def chosen(
    found: Sequence[StoredEnvironment], owner: Owner, wanted: tuple[str, int | None], platform: str
) -> EnvironmentVersion:
    """Return the version that a new session gets: the one that is named, or the newest that is ready.

    Raises EnvironmentNotFound, also for owners who may not use it, and EnvironmentNotReady.
    """
    name, number = wanted
    mine = [each for each in found if each.version.serves(owner)]
    named = [each for each in mine if number in (None, each.version.version)]
    if not named:
        raise EnvironmentNotFound(name, number)
    ready = [each for each in named if _status(each, platform) == "ready"]
    if ready:
        return ready[0].version
    newest = next((each for each in named if each.version.retired_at is None), named[0])
    build = newest.on(platform)
    reason = "" if build is None else build.facts.reason or ""
    raise EnvironmentNotReady(name, newest.version.version, _status(newest, platform), reason)


def _status(stored: StoredEnvironment, platform: str) -> str:
    if stored.version.retired_at is not None:
        return "retired"
    build = stored.on(platform)
    return "queued" if build is None else str(build.status)


@frozen
class _ReadVersion:
    """A version that is ready, as it was read."""

    read_at: datetime
    version: EnvironmentVersion
    environment: Environment


@define(eq=False)
class EnvironmentCatalog:
    """Finds environments for sessions and their runs. Every method may raise StorageUnavailable or Overloaded."""

    _clock: Clock
    _environments: EnvironmentRepository
    _platforms: Platforms
    _known: BoundedCache[tuple[str, int], _ReadVersion] = field(
        factory=lambda: BoundedCache(_CACHED_MAX, lambda _: 1), init=False
    )

    async def choose(self, owner: Owner, name: str, version: int | None) -> EnvironmentVersion:
        """Return the version that a new session gets; raises as `chosen`, and RuntimeUnavailable."""
        found = await self._environments.versions(name)
        if not found:
            raise EnvironmentNotFound(name, version)
        platform = await self._platforms.of(found[0].version.language)
        return chosen(found, owner, (name, version), platform)

    async def find(self, owner: Owner, name: str, version: int) -> Environment:
        """Return what a run of a session uses; a retired version serves the sessions that have it.

        Raises EnvironmentNotFound, also if the present owner may not use it, EnvironmentNotReady, RuntimeUnavailable.
        """
        known, now = self._known.get((name, version)), self._clock.now()
        if known is None or not timedelta(0) <= now - known.read_at < _KEPT_FOR:
            known = await self._read(name, version, now)
            self._known.put((name, version), known)
        if not known.version.serves(owner):
            raise EnvironmentNotFound(name, version)
        return known.environment

    async def _read(self, name: str, version: int, now: datetime) -> _ReadVersion:
        stored = await self._environments.get(name, version)
        build = stored.on(await self._platforms.of(stored.version.language))
        if build is None or build.status is not BuildStatus.READY or build.digest is None:
            status = "queued" if build is None else str(build.status)
            raise EnvironmentNotReady(name, version, status, "" if build is None else build.facts.reason or "")
        known = evolve(stored.version, lock="")  # which takes up to 1 MiB, and no run needs it
        return _ReadVersion(now, known, Environment(name, version, build.digest, stored.version.preload))
