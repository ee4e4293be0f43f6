"""A queue that serves owners in turn."""

from collections import OrderedDict
from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

from domain.identity import Owner

Item = TypeVar("Item", bound=Hashable)


class FairQueue(Generic[Item]):
    """Returns one item of each owner in turn, and the items of one owner in the order of arrival.

    So an owner's wait depends on how many owners wait, and not on how many items the others have.
    """

    def __init__(self) -> None:
        self._by_owner: dict[Owner, OrderedDict[Item, None]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def first(self) -> Item:
        """The item that `pop` returns; the queue must not be empty."""
        return next(iter(next(iter(self._by_owner.values()))))

    def ahead_of(self, owner: Owner) -> int:
        """Return how many items at most come before an item that this owner adds now."""
        own = len(self._by_owner.get(owner, ()))
        return min(self._length, (own + 1) * len(self._by_owner))

    def of(self, owner: Owner) -> list[Item]:
        """Return the items of an owner."""
        return list(self._by_owner.get(owner, ()))

    def add(self, owner: Owner, item: Item) -> None:
        """Add an item that is not in the queue."""
        self._by_owner.setdefault(owner, OrderedDict())[item] = None
        self._length += 1

    def put_back(self, owner: Owner, item: Item) -> None:
        """Add an item that was popped, before the other items of its owner."""
        self.add(owner, item)
        self._by_owner[owner].move_to_end(item, last=False)

    def pop(self) -> Item:
        """Remove and return the next item; the queue must not be empty."""
        _, item = self._pop(next(iter(self._by_owner)))
        return item

    def pop_without(self, blocked: Collection[Owner]) -> tuple[Owner, Item] | None:
        """Remove and return the next item of an owner that is not blocked, with the owner; None if there is none.

        Blocked owners keep their turn.
        """
        owner = next((owner for owner in self._by_owner if owner not in blocked), None)
        return None if owner is None else self._pop(owner)

    def discard(self, owner: Owner, item: Item) -> bool:
        """Remove an item if it is in the queue; return whether it was."""
        items = self._by_owner.get(owner)
        if items is None or item not in items:
            return False
        del items[item]
        self._length -= 1
        if not items:
            del self._by_owner[owner]
        return True

    def _pop(self, owner: Owner) -> tuple[Owner, Item]:
        item = next(iter(self._by_owner[owner]))
        self.discard(owner, item)
        if owner in self._by_owner:
            self._by_owner[owner] = self._by_owner.pop(owner)
        return owner, item
