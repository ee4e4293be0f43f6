"""Handing over what belongs to one owner to another."""

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Protocol

from attrs import frozen

from domain.identity import Owner


class Belonging(StrEnum):
    """What belongs to an owner."""

    SESSIONS = "sessions"
    KEYS = "idempotency keys"
    HISTORY = "history"


@frozen
class MoveStep:
    """One bounded step: how many rows were looked at, and how many now belong to the new owner."""

    part: Belonging
    examined: int
    moved: int


class OwnerMover(Protocol):
    """Moves in small steps, beside a running service; what was moved stays so, whenever it is stopped.

    Methods raise StorageUnavailable.
    """

    async def count(self, owner: Owner) -> Mapping[Belonging, int]:
        """Return how much belongs to the owner; keys of sessions are counted with the keys."""
        ...

    def move(self, source: Owner, target: Owner) -> AsyncIterator[MoveStep]:
        """Move everything of `source` to `target`, step by step.

        A session that is executing is left where it is, with its keys and history; moving again takes it along.
        """
        ...
