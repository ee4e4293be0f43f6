"""A lock: the packages of an environment, each with a version and the digests of its files."""

from collections.abc import Sequence

from attrs import define, frozen

LOCK_SIZE_MAX = 1_048_576
"""Bytes of a lock in UTF-8, as it is given and as it is stored."""
PACKAGES_MAX = 1_000
PROBLEMS_MAX = 20
"""Faults of one lock that are named; further ones are left out."""


@frozen
class LockedPackage:
    """A package with its one version."""

    name: str
    version: str


@frozen
class Lock:
    """The packages of a lock, and its canonical text.

    The text is written anew from what was read, and a build gets nothing else. So what a tool would read otherwise than
    this service does not reach it.
    """

    packages: Sequence[LockedPackage]
    text: str


@frozen
class LockProblem:
    """A fault in a lock, with its line from 1 on."""

    line: int
    message: str


@define(eq=False)
class LockRefused(Exception):
    """The lock is not accepted."""

    problems: Sequence[LockProblem]


def require_size(text: str) -> None:
    """Raise LockRefused if a lock is too large to be read."""
    size = len(text.encode(errors="surrogatepass"))
    if size > LOCK_SIZE_MAX:
        raise LockRefused([LockProblem(1, f"the lock has {size:,} bytes, and {LOCK_SIZE_MAX:,} are allowed")])


def require_none(problems: Sequence[LockProblem]) -> None:
    """Raise LockRefused if there are problems."""
    if problems:
        raise LockRefused(sorted(problems, key=lambda each: each.line)[:PROBLEMS_MAX])


def number_problem(count: int) -> Sequence[LockProblem]:
    """Return the problem of a lock with so many packages, if there is one."""
    if not count:
        return [LockProblem(1, "the lock has no packages")]
    if count > PACKAGES_MAX:
        return [LockProblem(1, f"the lock has {count:,} packages, and {PACKAGES_MAX:,} are allowed")]
    return []
