"""One page from the pages of several buckets."""

from collections.abc import Callable, Iterable
from math import isqrt
from typing import TypeVar
from uuid import UUID

from domain.paging import Page

Item = TypeVar("Item")


def merged(pages: Iterable[Page[Item]], size: int, id_of: Callable[[Item], UUID]) -> Page[Item]:
    """Return the newest `size` items of pages that are complete down to their `next_after`, each the newest first.

    The result is complete down to the greatest of these, and continues there.
    """
    found = list(pages)
    bound = max((page.next_after for page in found if page.next_after is not None), default=None)
    items = sorted((item for page in found for item in page.items), key=id_of, reverse=True)
    complete = [item for item in items if bound is None or id_of(item) >= bound]
    if len(complete) > size:
        return Page(complete[:size], id_of(complete[size - 1]))
    return Page(complete, bound)


def part_of(size: int, buckets: int) -> int:
    """Return how many items of each bucket are mostly enough for a page of `size` items, if each has equally many.

    Chance gives a bucket more than its share: up to twice the standard deviation and more is covered.
    """
    return min(size, -(-size // max(1, buckets)) + isqrt(size))


def continued(page: Page[Item], following: Page[Item]) -> Page[Item]:
    """Return a page and the one behind it as one."""
    return Page([*page.items, *following.items], following.next_after)
