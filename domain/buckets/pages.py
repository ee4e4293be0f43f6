"""One page from the pages of several buckets."""

from collections.abc import Callable, Iterable
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
