"""Ports to stored environments, their builds and their trees, and to the trees of a host."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attrs import define, frozen

from domain.audit import Act
from domain.environments.build import BuildClaim, BuildEnd
from domain.environments.environment import EnvironmentVersion, StoredEnvironment
from domain.environments.tree import StoredTree
from domain.scripts.language import Language


class EnvironmentRepository(Protocol):
    """Stores versions of environments, at most VERSIONS_MAX.

    Every method may raise StorageUnavailable or Overloaded.
    """

    async def add(self, version: EnvironmentVersion, act: Act) -> bool:
        """Store a version, and return whether it is stored; another one may have its number.

        Storing the same version again changes nothing. Raises QuotaReached.
        """
        ...

    async def get(self, name: str, version: int | None = None) -> StoredEnvironment:
        """Return a version, or the newest one, with its lock and its builds; raises EnvironmentNotFound."""
        ...

    async def versions(self, name: str | None = None) -> Sequence[StoredEnvironment]:
        """Return the versions of an environment, or of all by name, newest first; without locks and logs."""
        ...

    async def retire(self, name: str, version: int, now: datetime, act: Act) -> None:
        """Let no further session use a version; a retired one stays as it is. Raises EnvironmentNotFound."""
        ...

    async def remove_retired(self, retired_before: datetime) -> int:
        """Remove versions that were retired by `retired_before`, with their builds, and return how many.

        A version stays if the grants of a session or of a function's version name it, or if more than OLDER_MAX
        sessions of a bucket began within PINNING_MAX after it was retired or earlier. While a bucket is away all stay.
        The newest version of a name loses its builds alone, because its number must not be given again.
        """
        ...

    async def forget_failures(self, name: str, version: int) -> None:
        """Let builders begin anew with those builds of a version that have failed."""
        ...


@frozen
class ClaimedBuild:
    """A version that a builder has taken, for the `attempt`-th time."""

    claim: BuildClaim
    version: EnvironmentVersion
    attempt: int


@frozen
class WaitingBuilds:
    """How many versions wait for a builder, since when the first of them does, and how many builds run meanwhile."""

    count: int
    since: datetime | None
    running: int = 0


class BuildQueue(Protocol):
    """Hands versions to builders. A version is built once for each platform, by one builder at a time.

    Every method may raise StorageUnavailable or Overloaded.
    """

    async def claim(self, claim: BuildClaim) -> ClaimedBuild | None:
        """Take the version that was created first of those that are neither built, failed, retired nor taken.

        A lease that has ended counts as not taken.
        """
        ...

    async def renew(self, build: ClaimedBuild, log: str, now: datetime) -> bool:
        """Extend the lease from now, and store the log so far; return whether the builder still has the build."""
        ...

    async def waiting(self, now: datetime) -> WaitingBuilds:
        """Return which versions no builder of any platform has begun, or one has left with a lease that has ended.

        Retired versions do not wait. A build runs as long as its lease has not ended.
        """
        ...

    async def end(self, build: ClaimedBuild, end: BuildEnd, log: str, now: datetime) -> bool:
        """End a build; return whether it has this end.

        One with a tree is ready if all chunks of the tree are stored, which is complete from then on. Ending it again
        changes nothing. A builder that has lost the build does not end it.
        """
        ...


class TreeStore(Protocol):
    """Stores packed trees in chunks. A tree is found once it is complete.

    Every method may raise StorageUnavailable or Overloaded.
    """

    async def begin(self, tree: StoredTree, now: datetime) -> None:
        """Store the facts of a tree; storing it again changes nothing."""
        ...

    async def write(self, digest: str, seq: int, content: bytes) -> None:
        """Store a chunk of a tree that has begun; storing it again changes nothing."""
        ...

    async def get(self, digest: str) -> StoredTree | None:
        """Return the facts of a complete tree."""
        ...

    async def read(self, digest: str, seq: int) -> bytes | None:
        """Return a chunk of a complete tree."""
        ...

    async def sweep(self, created_before: datetime) -> int:
        """Remove parts of a tree that no build names, and return how many; 0 if there is none left.

        One that a build began to store since `created_before` stays.
        """
        ...


@frozen
class MadeTree:
    """A tree that was built, with its facts and its folder, which is there until the making ends.

    `dropped` counts the files and folders that were left out. `chunk` returns a part of the packed bytes.
    """

    stored: StoredTree
    path: Path
    dropped: int
    chunk: Callable[[int], Awaitable[bytes]]


class TreeMaker(Protocol):
    """Installs the packages of a version, and packs them."""

    def making(self, version: EnvironmentVersion, log: Callable[[str], None]) -> AbstractAsyncContextManager[MadeTree]:
        """Yield the tree, and remove what was made afterwards; what tools write goes to `log`. Raises BuildFailed."""
        ...


class HeldTree(Protocol):
    """A tree on this host that stays until it is released."""

    @property
    def path(self) -> Path:
        """The folder, whose files nobody changes."""
        ...

    def release(self) -> None:
        """Let the tree go if the disk is needed; again changes nothing."""
        ...


class TreeCache(Protocol):
    """The unpacked trees of this host."""

    async def hold(self, digest: str) -> HeldTree:
        """Return a tree, fetched and verified if this host lacks it.

        Raises TreeUnavailable, StorageUnavailable or Overloaded.
        """
        ...


@frozen
class TrialFacts:
    """What an interpreter takes that has imported the preload list: VmData and VmSize are `data_mb` and `mapped_mb`."""

    cpu_ms: float
    private_mb: float
    data_mb: float
    mapped_mb: float


@define(eq=False)
class TrialFailed(Exception):
    """A zygote cannot preload the tree. The message names the package, and says what to do."""

    message: str

    def __str__(self) -> str:
        return self.message


class Platforms(Protocol):
    """Knows for which interpreter and machine trees of this installation are built."""

    async def of(self, language: Language) -> str:
        """Return the platform, such as cp313-x86_64-glibc; raises RuntimeUnavailable without an interpreter."""
        ...


class TreeTrial(Protocol):
    """Tries a tree in the sandbox, as sessions will use it."""

    async def trial(self, language: Language, tree: Path, preload: Sequence[str], memory_mb: int) -> TrialFacts:
        """Import the list in a zygote, end it, and return what it took; raises TrialFailed or RuntimeUnavailable."""
        ...
