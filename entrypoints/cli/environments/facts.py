"""What the commands print of versions."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.environments.build import Build
from domain.environments.environment import StoredEnvironment, lock_of
from entrypoints.cli.output import shown, table

_MIB = 1024**2
_HEADER = ("environment", "status", "language", "MiB", "preload", "owners", "created at")
_SIZE_COLUMN = 3


def facts(stored: StoredEnvironment) -> dict[str, Any]:
    """Return a version for programs, with its packages if it was read with its lock."""
    version = stored.version
    packages = lock_of(version.language, version.lock).packages if version.lock else ()
    return {
        "name": version.name,
        "version": version.version,
        "status": stored.status,
        "language": version.language.value,
        "preload": list(version.preload),
        "owners": None if version.owners is None else list(version.owners),
        "description": version.description,
        "created_at": _instant(version.created_at),
        "author": version.author,
        "retired_at": _instant(version.retired_at),
        "builds": {build.platform: _of_build(build) for build in stored.builds},
        **({"packages": [{"name": each.name, "version": each.version} for each in packages]} if packages else {}),
    }


def listed(found: Sequence[StoredEnvironment]) -> str:
    """Return versions as a table."""
    return table([_HEADER, *map(_row, found)], frozenset({_SIZE_COLUMN}))


def described(stored: StoredEnvironment) -> str:
    """Return a version as lines, with its packages and what its builds measured."""
    version = stored.version
    pairs = [
        ("environment", str(version)),
        ("status", stored.status),
        ("language", version.language.value),
        ("preload", " ".join(version.preload)),
        ("owners", _owners(stored)),
        ("description", version.description),
        ("created", f"{_instant(version.created_at)} by {version.author}"),
        ("retired", _instant(version.retired_at) or ""),
        (
            "packages",
            " ".join(f"{each.name}=={each.version}" for each in lock_of(version.language, version.lock).packages),
        ),
        *(pair for build in stored.builds for pair in _pairs(build)),
    ]
    return table([(name, shown(text)) for name, text in pairs if text])


def failure_of(stored: StoredEnvironment) -> str:
    """Return why a version could not be built, as its builds say."""
    reasons = [build.facts.reason for build in stored.builds if build.facts.reason]
    return shown("; ".join(reasons) or "see its log")


def _pairs(build: Build) -> Iterator[tuple[str, str]]:
    yield f"build {build.platform}", f"{build.status}" + (f": {build.facts.reason}" if build.facts.reason else "")
    if build.digest is not None:
        yield "tree", build.digest
    if build.facts.bytes is not None:
        packed = "" if build.facts.packed_bytes is None else f", {build.facts.packed_bytes / _MIB:,.1f} MiB packed"
        yield "size", f"{build.facts.bytes / _MIB:,.1f} MiB in {build.facts.files or 0:,} files{packed}"
    if build.facts.cpu_ms is not None:
        yield "preload takes", f"{build.facts.cpu_ms:,.0f} ms of CPU, {build.facts.private_mb or 0:,.1f} MiB"


def _of_build(build: Build) -> Mapping[str, Any]:
    known = build.facts
    return {
        "status": build.status.value,
        "reason": known.reason,
        "digest": build.digest,
        "bytes": known.bytes,
        "files": known.files,
        "packed_bytes": known.packed_bytes,
        "dropped": known.dropped,
        "preload_cpu_ms": known.cpu_ms,
        "preload_private_mb": known.private_mb,
        **({"log": build.log} if build.log else {}),
    }


def _row(stored: StoredEnvironment) -> Sequence[str]:
    version = stored.version
    size = max((build.facts.bytes or 0 for build in stored.builds), default=0)
    return (
        str(version),
        stored.status,
        version.language.value,
        f"{size / _MIB:,.1f}" if size else "",
        " ".join(version.preload),
        shown(_owners(stored)),
        _instant(version.created_at) or "",
    )


def _owners(stored: StoredEnvironment) -> str:
    owners = stored.version.owners
    return "all" if owners is None else " ".join(owners)


def _instant(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
