"""Environments, their builds and their trees in memory."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.audit import MemoryAudit
from domain.audit import Act
from domain.environments.build import LEASE, Build, BuildClaim, BuildEnd, BuildFacts, BuildStatus
from domain.environments.environment import (
    OLDER_MAX,
    PINNING_MAX,
    VERSIONS_MAX,
    EnvironmentNotFound,
    EnvironmentVersion,
    StoredEnvironment,
)
from domain.environments.ports import (
    BuildQueue,
    ClaimedBuild,
    EnvironmentRepository,
    Platforms,
    TreeStore,
    WaitingBuilds,
)
from domain.environments.tree import StoredTree
from domain.errors import QuotaReached
from domain.grants.grants import Grants
from domain.identity import uuid7_at
from domain.scripts.language import Language

_Key = tuple[str, int]


@define
class MemoryEnvironmentStore:
    """What is stored of environments; while `failure` is set, every call raises it."""

    versions: dict[_Key, EnvironmentVersion] = field(factory=dict)
    builds: dict[tuple[_Key, str], Build] = field(factory=dict)
    builders: dict[tuple[_Key, str], UUID] = field(factory=dict)
    trees: dict[str, StoredTree] = field(factory=dict)
    begun_at: dict[str, datetime] = field(factory=dict)
    complete: set[str] = field(factory=set)
    chunks: dict[tuple[str, int], bytes] = field(factory=dict)
    sessions: dict[UUID, Grants | None] = field(factory=dict)
    """The grants of sessions that removals look at."""
    granted: list[Grants] = field(factory=list)
    """The grants of versions of functions."""
    failure: Exception | None = None

    def require_available(self) -> None:
        """Raise `failure` if it is set."""
        if self.failure is not None:
            raise self.failure

    def builds_of(self, key: _Key) -> Sequence[Build]:
        """Return the builds of a version by platform."""
        found = [build for (version, _), build in self.builds.items() if version == key]
        return sorted(found, key=lambda build: build.platform)


@define
class FixedPlatforms(Platforms):
    """Every language has one platform."""

    platform: str = "cp313-x86_64-glibc"

    @override
    async def of(self, language: Language) -> str:
        return self.platform


@define
class MemoryEnvironmentRepository(EnvironmentRepository):
    """Keeps versions by name and number."""

    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    audit: MemoryAudit = field(factory=MemoryAudit)
    versions_max: int = VERSIONS_MAX
    older_max: int = OLDER_MAX

    @override
    async def add(self, version: EnvironmentVersion, act: Act) -> bool:
        self.store.require_available()
        key, versions = (version.name, version.version), self.store.versions
        if key in versions:
            return versions[key] == version
        if len(versions) >= self.versions_max:
            raise QuotaReached("environments", self.versions_max, len(versions))
        versions[key] = version
        details = {"language": str(version.language), "preload": len(version.preload)}
        self.audit.record(act, None, str(version), details)
        return True

    @override
    async def get(self, name: str, version: int | None = None) -> StoredEnvironment:
        self.store.require_available()
        newest = max((number for each, number in self.store.versions if each == name), default=0)
        key = name, newest if version is None else version
        if key not in self.store.versions:
            raise EnvironmentNotFound(name, version)
        return StoredEnvironment(self.store.versions[key], self.store.builds_of(key))

    @override
    async def versions(self, name: str | None = None) -> Sequence[StoredEnvironment]:
        self.store.require_available()
        keys = sorted((key for key in self.store.versions if name in (None, key[0])), key=lambda key: (key[0], -key[1]))
        return [
            StoredEnvironment(
                evolve(self.store.versions[key], lock=""),
                [evolve(build, log="") for build in self.store.builds_of(key)],
            )
            for key in keys[: self.versions_max]
        ]

    @override
    async def retire(self, name: str, version: int, now: datetime, act: Act) -> None:
        self.store.require_available()
        stored = self.store.versions.get((name, version))
        if stored is None:
            raise EnvironmentNotFound(name, version)
        if stored.retired_at is None:
            self.store.versions[name, version] = evolve(stored, retired_at=now)
            self.audit.record(act, None, str(stored), {})

    @override
    async def remove_retired(self, retired_before: datetime) -> int:
        self.store.require_available()
        removed = 0
        for key, version in list(self.store.versions.items()):
            is_newest = not any(name == key[0] and number > key[1] for name, number in self.store.versions)
            has_work = not is_newest or self.store.builds_of(key)
            if version.retired_at is None or version.retired_at > retired_before or not has_work:
                continue
            if not self._may_be_used(version, version.retired_at):
                removed += 1
                self._remove(key, is_newest=is_newest)
        return removed

    def _may_be_used(self, version: EnvironmentVersion, retired_at: datetime) -> bool:
        begun_before = uuid7_at(retired_at + PINNING_MAX, 0)
        older = [grants for session_id, grants in self.store.sessions.items() if session_id < begun_before]
        granted = [each.environment for each in (*older, *self.store.granted) if each is not None]
        named = {(each.name, each.version) for each in granted if each is not None}
        return len(older) > self.older_max or (version.name, version.version) in named

    def _remove(self, key: _Key, *, is_newest: bool) -> None:
        for build in self.store.builds_of(key):
            del self.store.builds[key, build.platform]
        if not is_newest:
            del self.store.versions[key]

    @override
    async def forget_failures(self, name: str, version: int) -> None:
        self.store.require_available()
        for build in self.store.builds_of((name, version)):
            if build.status is BuildStatus.FAILED:
                del self.store.builds[(name, version), build.platform]


@define
class MemoryBuildQueue(BuildQueue):
    """Keeps builds by version and platform."""

    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)

    @override
    async def claim(self, claim: BuildClaim) -> ClaimedBuild | None:
        self.store.require_available()
        by_age = sorted(self.store.versions.values(), key=lambda each: (each.created_at, each.name, each.version))
        for version in by_age:
            key = (version.name, version.version), claim.platform
            found = self.store.builds.get(key)
            is_taken = found is not None and (found.status is not BuildStatus.BUILDING or found.lease_until > claim.now)
            if version.language == claim.language and version.retired_at is None and not is_taken:
                attempts = 1 if found is None else found.attempts + 1
                self.store.builds[key] = Build(
                    claim.platform, BuildStatus.BUILDING, None, BuildFacts(), "", attempts, claim.until
                )
                self.store.builders[key] = claim.builder
                return ClaimedBuild(claim, version, attempts)
        return None

    @override
    async def renew(self, build: ClaimedBuild, log: str, now: datetime) -> bool:
        self.store.require_available()
        held = self._held(build)
        if held is None or held.status is not BuildStatus.BUILDING:
            return False
        self.store.builds[_key(build)] = evolve(held, log=log, lease_until=now + LEASE)
        return True

    @override
    async def end(self, build: ClaimedBuild, end: BuildEnd, log: str, now: datetime) -> bool:
        self.store.require_available()
        held = self._held(build)
        if held is None or not (end.digest is None or self._complete(end.digest)):
            return False
        status = BuildStatus.FAILED if end.digest is None else BuildStatus.READY
        self.store.builds[_key(build)] = evolve(held, status=status, digest=end.digest, facts=end.facts, log=log)
        return True

    @override
    async def waiting(self, now: datetime) -> WaitingBuilds:
        self.store.require_available()
        since = []
        for key, version in self.store.versions.items():
            builds = self.store.builds_of(key)
            is_left = all(each.status is BuildStatus.BUILDING and each.lease_until <= now for each in builds)
            if version.retired_at is None and is_left:
                since.append(max((each.lease_until for each in builds), default=version.created_at))
        running = [
            each
            for each in self.store.builds.values()
            if each.status is BuildStatus.BUILDING and each.lease_until > now
        ]
        return WaitingBuilds(len(since), min(since, default=None), len(running))

    def _held(self, build: ClaimedBuild) -> Build | None:
        is_own = self.store.builders.get(_key(build)) == build.claim.builder
        return self.store.builds.get(_key(build)) if is_own else None

    def _complete(self, digest: str) -> bool:
        tree = self.store.trees.get(digest)
        if tree is None or sum(of == digest for of, _ in self.store.chunks) != tree.chunks:
            return False
        self.store.complete.add(digest)
        return True


@define
class MemoryTreeStore(TreeStore):
    """Keeps trees and chunks by digest."""

    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)

    @override
    async def begin(self, tree: StoredTree, now: datetime) -> None:
        self.store.require_available()
        self.store.trees.setdefault(tree.digest, tree)
        self.store.begun_at[tree.digest] = now

    @override
    async def write(self, digest: str, seq: int, content: bytes) -> None:
        self.store.require_available()
        if digest in self.store.trees:
            self.store.chunks.setdefault((digest, seq), content)

    @override
    async def get(self, digest: str) -> StoredTree | None:
        self.store.require_available()
        return self.store.trees[digest] if digest in self.store.complete else None

    @override
    async def read(self, digest: str, seq: int) -> bytes | None:
        self.store.require_available()
        return self.store.chunks.get((digest, seq)) if digest in self.store.complete else None

    @override
    async def sweep(self, created_before: datetime) -> int:
        self.store.require_available()
        named = {build.digest for build in self.store.builds.values()}
        for digest, begun_at in sorted(self.store.begun_at.items(), key=lambda each: each[1]):
            if digest not in named and begun_at <= created_before:
                return self._remove(digest)
        return 0

    def _remove(self, digest: str) -> int:
        self.store.complete.discard(digest)
        chunks = [key for key in self.store.chunks if key[0] == digest]
        for key in chunks:
            del self.store.chunks[key]
        del self.store.trees[digest], self.store.begun_at[digest]
        return len(chunks) + 1


def _key(build: ClaimedBuild) -> tuple[_Key, str]:
    return (build.version.name, build.version.version), build.claim.platform
