"""Bodies of environments."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.environments.build import Build
from domain.environments.environment import (
    DESCRIPTION_SIZE_MAX,
    NAME_PATTERN,
    OWNERS_MAX,
    PRELOADED_MAX,
    StoredEnvironment,
    lock_of,
)
from domain.environments.lock import LOCK_SIZE_MAX
from domain.identity import OWNER_SIZE_MAX
from domain.scripts.language import Language
from entrypoints.http.schemas import fields

Name = Annotated[str, Meta(description="The name that sessions give.", pattern=NAME_PATTERN)]
LanguageName = Annotated[Language, Meta(description="The language of the scripts that may import it.")]
Lock = Annotated[
    str,
    Meta(
        description="The packages with one version each and a digest of each file: a requirements.txt with hashes for "
        "Python, a package-lock.json of version 3 for Node.js.",
        max_length=LOCK_SIZE_MAX,
    ),
]
Preload = Annotated[
    list[Annotated[str, Meta(max_length=600)]],
    Meta(
        description="What is imported before scripts start, so that they do not wait for it: modules of Python, or "
        "packages of Node.js.",
        max_length=PRELOADED_MAX,
    ),
]
Owners = Annotated[
    Annotated[list[Annotated[str, Meta(min_length=1, max_length=OWNER_SIZE_MAX)]], Meta(max_length=OWNERS_MAX)] | None,
    Meta(description="Whose sessions may use it; null stands for all owners."),
]
Description = Annotated[str, Meta(description="A text of the operator.", max_length=DESCRIPTION_SIZE_MAX)]
StatusText = Annotated[
    str,
    Meta(
        description="queued, building, ready, failed or retired. Sessions begin with a version that is ready.",
    ),
]


class EnvironmentBody(Struct, forbid_unknown_fields=True):
    """The next version of an environment."""

    name: Name
    language: LanguageName
    lock: Lock
    preload: Preload = msgspec.field(default_factory=list)
    owners: Owners = None
    description: Description = ""


class EnvironmentEnvelope(Struct, forbid_unknown_fields=True):
    """A body as it is parsed: rules say what is missing."""

    name: str | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    lock: str | UnsetType = UNSET
    preload: Preload = msgspec.field(default_factory=list)
    owners: Owners = None
    description: str = ""


class PackageBody(Struct):
    """A package of an environment."""

    name: Annotated[str, Meta(description="Its name.")]
    version: Annotated[str, Meta(description="Its version.")]


class BuildBody(Struct, omit_defaults=True):
    """A build for a platform."""

    status: Annotated[str, Meta(description="building, ready or failed.")]
    reason: Annotated[str | None, Meta(description="Why it failed.")] = None
    digest: Annotated[str | None, Meta(description="SHA-256 of the packed files.")] = None
    bytes: Annotated[int | None, Meta(description="Bytes of the files.")] = None
    files: Annotated[int | None, Meta(description="Files and folders.")] = None
    packed_bytes: Annotated[int | None, Meta(description="Bytes that are stored and fetched.")] = None
    dropped: Annotated[int | None, Meta(description="Files and folders that were left out.")] = None
    preload_cpu_ms: Annotated[float | None, Meta(description="Processor time of the imports, once for each host.")] = (
        None
    )
    preload_private_mb: Annotated[float | None, Meta(description="Memory of the imports, once for each host.")] = None
    log: Annotated[str | None, Meta(description="The last of what the tools wrote.")] = None

    @classmethod
    def of(cls, build: Build) -> "BuildBody":
        """Return the body of a build."""
        facts = build.facts
        return cls(
            str(build.status),
            facts.reason,
            build.digest,
            facts.bytes,
            facts.files,
            facts.packed_bytes,
            facts.dropped,
            facts.cpu_ms,
            facts.private_mb,
            build.log or None,
        )


class EnvironmentSummary(Struct):
    """A version of an environment, without its packages."""

    name: Name
    version: Annotated[int, Meta(description="From 1 on.")]
    status: StatusText
    language: LanguageName
    preload: Preload
    owners: Owners
    description: Description
    created_at: Annotated[fields.Instant, Meta(description="When it was created.")]
    author: Annotated[str, Meta(description="Who has created it.")]
    retired_at: Annotated[fields.Instant | None, Meta(description="Since when new sessions cannot use it.")]
    builds: Annotated[dict[str, BuildBody], Meta(description="The builds that have begun, by platform.")]

    @classmethod
    def of(cls, stored: StoredEnvironment) -> "EnvironmentSummary":
        """Return the body of a version."""
        return cls(**_facts(stored))


class EnvironmentResponse(EnvironmentSummary):
    """A version of an environment."""

    packages: Annotated[list[PackageBody], Meta(description="Its packages.")] = msgspec.field(default_factory=list)

    @classmethod
    def whole(cls, stored: StoredEnvironment) -> "EnvironmentResponse":
        """Return the body of a version with its packages."""
        lock = lock_of(stored.version.language, stored.version.lock)
        return cls(**_facts(stored), packages=[PackageBody(each.name, each.version) for each in lock.packages])


class EnvironmentList(Struct):
    """The versions of all environments, by name with the newest first."""

    environments: Annotated[list[EnvironmentSummary], Meta(description="The versions.")]


def _facts(stored: StoredEnvironment) -> dict[str, Any]:
    version = stored.version
    return {
        "name": version.name,
        "version": version.version,
        "status": stored.status,
        "language": version.language,
        "preload": list(version.preload),
        "owners": None if version.owners is None else list(version.owners),
        "description": version.description,
        "created_at": version.created_at,
        "author": version.author,
        "retired_at": version.retired_at,
        "builds": {build.platform: BuildBody.of(build) for build in stored.builds},
    }
