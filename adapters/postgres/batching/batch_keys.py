"""Keys of which each is held by one batch at a time; a session's is the number of its id, which hashes fast."""

from collections import deque
from collections.abc import Callable, Hashable

Grant = Callable[[Hashable], None]


class BatchKeys:
    """Holds keys, and a line of those who wait for each; not for use by several threads."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[Grant] | None] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def take(self, key: Hashable, grant: Grant) -> bool:
        """Hold the key if it is free; else join its line: `grant(key)` is called once it is the caller's."""
        if key not in self._lines:
            self._lines[key] = None
            return True
        line = self._lines[key]
        if line is None:
            line = self._lines[key] = deque()
        line.append(grant)
        return False

    def release(self, key: Hashable) -> None:
        """Hand the key to the first in its line, or free it."""
        line = self._lines[key]
        if line:
            line.popleft()(key)
        else:
            del self._lines[key]
