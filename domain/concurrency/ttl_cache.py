"""A bounded cache whose entries expire."""

from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

from attrs import define, field

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@define
class TtlCache(Generic[Key, Value]):
    """Holds `size_max` values, each until its own instant; when full, it drops the oldest."""

    size_max: int
    _entries: dict[Key, tuple[Value, datetime]] = field(factory=dict, init=False)

    def get(self, key: Key, now: datetime) -> Value | None:
        """Return the value, or None if it has expired or was dropped."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, until = entry
        if now < until:
            return value
        del self._entries[key]
        return None

    def put(self, key: Key, value: Value, until: datetime) -> None:
        """Hold the value while `now < until`."""
        self._entries.pop(key, None)
        while len(self._entries) >= self.size_max:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value, until

    def count(self, now: datetime) -> int:
        """Return the number of values that have not expired."""
        return sum(now < until for _, until in self._entries.values())

    def clear(self) -> None:
        """Drop all values."""
        self._entries.clear()
