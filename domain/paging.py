"""Pages of lists."""

from collections.abc import Sequence
from typing import Generic, TypeVar
from uuid import UUID

from attrs import frozen

Item = TypeVar("Item")


@frozen
class Page(Generic[Item]):
    """Items, newest first, and the id after which the next page begins; None on the last page.

    A page with `next_after` may hold fewer items than requested, because the number of examined rows is bounded
    in each bucket.
    """

    items: Sequence[Item]
    next_after: UUID | None
