"""Environments, their builds and their trees in PostgreSQL."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import structlog
from attrs import define, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import EnvironmentStatements
from domain.audit import Act
from domain.environments.build import Build, BuildClaim, BuildEnd, BuildFacts, BuildStatus
from domain.environments.environment import (
    OLDER_MAX,
    PINNING_MAX,
    VERSIONS_MAX,
    EnvironmentNotFound,
    EnvironmentVersion,
    StoredEnvironment,
)
from domain.environments.ports import BuildQueue, ClaimedBuild, EnvironmentRepository, TreeStore, WaitingBuilds
from domain.environments.tree import StoredTree
from domain.errors import QuotaReached, Unavailable
from domain.identity import Owner, uuid7_at
from domain.scripts.language import Language

_VERSION_COLUMNS = 10
_SWEPT_MAX = 32
"""Chunks that one statement removes: 8 MiB."""

_log = structlog.get_logger(__name__)


@frozen
class UseElsewhere:
    """Whether a session in another bucket has a version, or may have it; and the buckets that were asked."""

    may_be_used: bool = False
    asked: Sequence[int] = ()


FindUse = Callable[[Mapping[str, object]], Awaitable[UseElsewhere]]
"""Asks all other buckets with the parameters of `select_environment_use`."""


async def no_use_elsewhere(_: Mapping[str, object]) -> UseElsewhere:
    """Return the use of a version in other buckets if there are none."""
    return UseElsewhere()


@define(eq=False)
class PostgresEnvironmentRepository(EnvironmentRepository):
    """Stores versions in `meta.environments`."""

    _gateway: Gateway
    _statements: EnvironmentStatements
    _versions_max: int = VERSIONS_MAX
    _older_max: int = OLDER_MAX
    _use_elsewhere: FindUse = no_use_elsewhere

    @override
    async def add(self, version: EnvironmentVersion, act: Act) -> bool:
        parameters = {
            "name": version.name,
            "version": version.version,
            "language": version.language,
            "lock": version.lock,
            "preload": codec.texts(version.preload),
            "owners": None if version.owners is None else codec.texts(version.owners),
            "description": version.description,
            "created_at": version.created_at,
            "author": version.author,
            "versions_max": self._versions_max,
            "details": json.dumps({"language": version.language, "preload": len(version.preload)}),
            **codec.act_columns(act),
        }
        ((is_stored, present),) = await self._gateway.fetch(self._statements.insert_environment, parameters)
        if not is_stored and present >= self._versions_max:
            raise QuotaReached("environments", self._versions_max, present)
        return bool(is_stored)

    @override
    async def get(self, name: str, version: int | None = None) -> StoredEnvironment:
        parameters = {"name": name, "version": version}
        rows = await self._gateway.fetch(self._statements.select_environment, parameters)
        for stored in stored_environments(rows):
            return stored
        raise EnvironmentNotFound(name, version)

    @override
    async def versions(self, name: str | None = None) -> Sequence[StoredEnvironment]:
        parameters = {"name": name, "rows_max": self._versions_max}
        return list(stored_environments(await self._gateway.fetch(self._statements.select_environments, parameters)))

    @override
    async def retire(self, name: str, version: int, now: datetime, act: Act) -> None:
        parameters = {"name": name, "version": version, "now": now, "details": "{}", **codec.act_columns(act)}
        if not await self._gateway.fetch(self._statements.retire_environment, parameters):
            raise EnvironmentNotFound(name, version)

    @override
    async def remove_retired(self, retired_before: datetime) -> int:
        asked = {"retired_before": retired_before, "rows_max": self._versions_max}
        removed = 0
        for name, version, retired_at in await self._gateway.fetch(self._statements.select_retired_environments, asked):
            use = {
                "begun_before": uuid7_at(retired_at + PINNING_MAX, 0),
                "pin": f'"name":"{name}","version":{version}}}',  # as Grants.text has it
                "older_max": self._older_max,
            }
            try:
                elsewhere = await self._use_elsewhere(use)
            except Unavailable as error:  # a bucket that is away may use any of them
                _log.warning("environments_not_removed", reason=error.message)
                break
            if not elsewhere.may_be_used:
                removed += await self._remove(name, version, use, elsewhere.asked)
        return removed

    async def _remove(self, name: str, version: int, use: Mapping[str, object], asked: Sequence[int]) -> int:
        """Remove a version unless it is used here, and return how many were removed."""
        parameters = {"name": name, "version": version, "asked": codec.numbers(asked), **use}
        ((removed,),) = await self._gateway.fetch(self._statements.delete_retired_environment, parameters)
        return int(removed)

    @override
    async def forget_failures(self, name: str, version: int) -> None:
        await self._gateway.fetch(self._statements.delete_failed_builds, {"name": name, "version": version})


@define(eq=False)
class PostgresBuildQueue(BuildQueue):
    """Stores builds in `meta.environment_builds`."""

    _gateway: Gateway
    _statements: EnvironmentStatements

    @override
    async def claim(self, claim: BuildClaim) -> ClaimedBuild | None:
        parameters = {
            "language": claim.language,
            "platform": claim.platform,
            "builder": claim.builder,
            "now": claim.now,
            "until": claim.until,
        }
        # A claim whose response was lost ends by itself; a repeated one would take another version.
        rows = await self._gateway.fetch(self._statements.claim_environment_build, parameters, repeatable=False)
        for *row, attempt in rows:
            return ClaimedBuild(claim, _version_of(row), attempt)
        return None

    @override
    async def renew(self, build: ClaimedBuild, log: str, now: datetime) -> bool:
        until = BuildClaim(build.claim.builder, build.claim.language, build.claim.platform, now).until
        parameters = {**_key(build), "log": log, "until": until, "now": now}
        return bool(await self._gateway.fetch(self._statements.renew_environment_build, parameters))

    @override
    async def waiting(self, now: datetime) -> WaitingBuilds:
        ((count, since, running),) = await self._gateway.fetch(self._statements.select_waiting_builds, {"now": now})
        return WaitingBuilds(count, since, running)

    @override
    async def end(self, build: ClaimedBuild, end: BuildEnd, log: str, now: datetime) -> bool:
        parameters = {**_key(build), "digest": end.digest, "facts": end.facts.text(), "log": log, "now": now}
        ((is_ended,),) = await self._gateway.fetch(self._statements.end_environment_build, parameters)
        return bool(is_ended)


@define(eq=False)
class PostgresTreeStore(TreeStore):
    """Stores trees in `meta.trees`, and their chunks in `meta.tree_chunks`."""

    _gateway: Gateway
    _statements: EnvironmentStatements

    @override
    async def begin(self, tree: StoredTree, now: datetime) -> None:
        parameters = {
            "digest": tree.digest,
            "format": tree.format,
            "bytes": tree.size,
            "files": tree.files,
            "packed_bytes": tree.packed_size,
            "chunks": tree.chunks,
            "now": now,
        }
        await self._gateway.fetch(self._statements.insert_tree, parameters)

    @override
    async def write(self, digest: str, seq: int, content: bytes) -> None:
        named = {"digest": digest, "seq": seq, "content": content}
        await self._gateway.fetch(self._statements.insert_tree_chunk, named)

    @override
    async def get(self, digest: str) -> StoredTree | None:
        rows = await self._gateway.fetch(self._statements.select_tree, {"digest": digest})
        for form, size, files, packed_size, _ in rows:
            return StoredTree(digest, form, size, files, packed_size)
        return None

    @override
    async def read(self, digest: str, seq: int) -> bytes | None:
        rows = await self._gateway.fetch(self._statements.select_tree_chunk, {"digest": digest, "seq": seq})
        return bytes(rows[0][0]) if rows else None

    @override
    async def sweep(self, created_before: datetime) -> int:
        parameters = {"created_before": created_before, "rows_max": _SWEPT_MAX}
        ((removed,),) = await self._gateway.fetch(self._statements.delete_unused_trees, parameters)
        return int(removed)


def _key(build: ClaimedBuild) -> dict[str, object]:
    version, claim = build.version, build.claim
    return {
        "name": version.name,
        "version": version.version,
        "platform": claim.platform,
        "builder": claim.builder,
    }


def stored_environments(rows: Sequence[codec.Row]) -> Iterator[StoredEnvironment]:
    """Yield the versions in rows of `select_environments`. Builds of one version follow each other."""
    for _, group in groupby(rows, lambda row: row[:2]):
        of_version = list(group)
        builds = [_build_of(row[_VERSION_COLUMNS:]) for row in of_version if row[_VERSION_COLUMNS] is not None]
        yield StoredEnvironment(_version_of(of_version[0][:_VERSION_COLUMNS]), builds)


def _version_of(row: Sequence[Any]) -> EnvironmentVersion:
    name, version, language, lock, preload, owners, description, created_at, author, retired_at = row
    return EnvironmentVersion(
        name=name,
        version=version,
        language=Language(language),
        lock=lock,
        preload=tuple(preload),
        owners=None if owners is None else tuple(map(Owner, owners)),
        description=description,
        created_at=created_at,
        author=author,
        retired_at=retired_at,
    )


def _build_of(row: codec.Row) -> Build:
    platform, status, digest, facts, log, attempts, lease_until = row
    return Build(platform, BuildStatus(status), digest, BuildFacts.of(facts), log, attempts, lease_until)
