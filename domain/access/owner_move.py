"""Moving the objects of one owner to another owner, and erasing them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from domain.audit import Act
from domain.identity import Owner
from domain.scripts.language import LanguageTitle


class OwnedData(StrEnum):
    """A kind of object that belongs to an owner."""

    SESSIONS = "sessions"
    KEYS = "idempotency keys"
    HISTORY = "history"
    FUNCTIONS = "functions"
    WEBHOOKS = "webhooks"
    SCHEDULES = "schedules"
    FILES = "files"
    EGRESS_RULES = "egress rules"
    SECRETS = "secrets"
    ENVIRONMENTS = "environments"
    """Versions that name the owner among those who may use them."""


@frozen
class MoveStep:
    """One bounded step: the rows examined, and those that now belong to the new owner or were erased."""

    part: OwnedData
    examined: int
    moved: int


class OwnerMover(Protocol):
    """Moves objects in small steps beside a running service; completed steps stay when it is stopped.

    Every method may raise StorageUnavailable.
    """

    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        """Return the number of the owner's objects by kind; keys of executions count as keys.

        Environments count as none, because several owners may use one, so it stays.
        """
        ...

    async def collisions(self, source: Owner, target: Owner) -> Sequence[LanguageTitle]:
        """Return titles under which both owners have a function; a bounded number, in order."""
        ...

    async def oldest(self, owner: Owner) -> datetime | None:
        """Return the instant of the oldest thing of an owner that is not short-lived; None if there is none.

        That is a session, emptied or not, a schedule, a file, or a day with counted executions.
        """
        ...

    def move(self, source: Owner, target: Owner, act: Act, *, functions: bool = True) -> AsyncIterator[MoveStep]:
        """Move all objects of `source` to `target`, step by step; without `functions`, functions stay.

        The act is recorded with the first step, and each step adds its numbers to the entry.

        A session with an execution in progress stays, with its keys, history and schedules; moving again moves it too.
        Sessions stay pinned to the versions that they have. A function stays if `target` has one of its title, and so
        does a secret if it has one of its name. Secrets are sealed anew: if their keys are not set, SecretsUnavailable
        is raised before anything moves. Environments that name `source` among their owners name `target` too, before
        sessions move.
        """
        ...


class OwnerPurger(Protocol):
    """Erases objects in small steps beside a running service; completed steps stay when it is stopped.

    Every method may raise StorageUnavailable.
    """

    async def count(self, owner: Owner) -> Mapping[OwnedData, int]:
        """Return the number of the owner's objects by kind.

        Sessions that were emptied do not count. Copies of the origin's sessions count as sessions.
        """
        ...

    def purge(self, owner: Owner, act: Act) -> AsyncIterator[MoveStep]:
        """Erase all objects of the owner, step by step.

        Sessions are closed and emptied; their rows stay until their retention is over. Copies of the origin's sessions
        are removed, while the origin keeps the sessions. A function stays if a session of
        another owner uses a version of it. The act is recorded with the first step, and each step adds its numbers to
        the entry.
        """
        ...
