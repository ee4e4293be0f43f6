"""A part of a list."""

from collections.abc import Sequence
from typing import Generic, TypeVar
from uuid import UUID

from attrs import frozen

Item = TypeVar("Item")


@frozen
class Page(Generic[Item]):
    """Items, newest first, and the id to go on after; None when there is nothing beyond.

    A page may hold fewer items than asked for while `next_after` is set: the number of examined rows is bounded.
    """

    items: Sequence[Item]
    next_after: UUID | None
