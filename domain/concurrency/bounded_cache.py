"""A cache of bounded weight."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from attrs import define, field

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@define
class BoundedCache(Generic[Key, Value]):
    """Keeps values of `weight_max` in all, as `weight` weighs each; drops the least recently used first."""

    weight_max: int
    weight: Callable[[Value], int]
    _values: dict[Key, Value] = field(factory=dict, init=False)
    _weight: int = field(default=0, init=False)

    def get(self, key: Key) -> Value | None:
        """Return the value, which is now the most recently used; None if it is not kept."""
        value = self._values.pop(key, None)
        if value is not None:
            self._values[key] = value
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep the value; one heavier than `weight_max` is not kept, and the former value is dropped."""
        self.drop(key)
        weight = self.weight(value)
        if weight > self.weight_max:
            return
        self._values[key] = value
        self._weight += weight
        while self._weight > self.weight_max:
            self.drop(next(iter(self._values)))

    def drop(self, key: Key) -> None:
        """Drop the value if it is kept."""
        value = self._values.pop(key, None)
        if value is not None:
            self._weight -= self.weight(value)
