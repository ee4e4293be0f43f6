"""An event loop whose time passes as soon as nothing else is to be done: hours of sleep take no time."""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """Lets the time jump to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that never comes"
        self.passed_s += max(0.0, timeout)
        return super().select(0)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return super().get_map()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Begins at 0 s. Nothing that runs in it may wait for another process or thread."""

    def __init__(self) -> None:
        self._selector_of_time = _JumpingSelector()
        super().__init__(self._selector_of_time)

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._selector_of_time.passed_s
