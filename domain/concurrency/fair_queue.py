"""A queue that serves owners in turn."""

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

from domain.identity import Owner

Item = TypeVar("Item", bound=Hashable)


class FairQueue(Generic[Item]):
    """Gives out one item of each owner in turn, and of each owner in the order of arrival.

    So the wait of whoever has few items depends on how many owners wait, and not on how many items the others have.
    """

    def __init__(self) -> None:
        self._lines: dict[Owner, dict[Item, None]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, owner: Owner, item: Item) -> None:
        """Let an item wait that does not wait yet."""
        self._lines.setdefault(owner, {})[item] = None
        self._length += 1

    def pop(self) -> Item:
        """Return the next item; there must be one."""
        _, item = self._pop(next(iter(self._lines)))
        return item

    def pop_without(self, blocked: Collection[Owner]) -> tuple[Owner, Item] | None:
        """Return the next item of an owner who is not blocked, and the owner; None when there is none.

        Blocked owners keep their turn.
        """
        owner = next((owner for owner in self._lines if owner not in blocked), None)
        return None if owner is None else self._pop(owner)

    def discard(self, owner: Owner, item: Item) -> bool:
        """Let an item wait no more; return whether it did."""
        line = self._lines.get(owner, {})
        if item not in line:
            return False
        del line[item]
        self._length -= 1
        if not line:
            del self._lines[owner]
        return True

    def _pop(self, owner: Owner) -> tuple[Owner, Item]:
        item = next(iter(self._lines[owner]))
        self.discard(owner, item)
        if owner in self._lines:
            self._lines[owner] = self._lines.pop(owner)
        return owner, item
