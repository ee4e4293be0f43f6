"""The scripts that a runtime host has been sent, by hash."""

from collections import OrderedDict

from attrs import define, field

from domain.scripts.script import Script


@define(eq=False)
class SourceCache:
    """Keeps the most recently used scripts, in at most `size_max` bytes; a script above that is not kept."""

    size_max: int
    _scripts: OrderedDict[str, tuple[Script, int]] = field(factory=OrderedDict, init=False)
    _size: int = field(default=0, init=False)

    def get(self, script_hash: str) -> Script | None:
        """Return the script of this hash, which is now the most recently used one."""
        if script_hash not in self._scripts:
            return None
        self._scripts.move_to_end(script_hash)
        return self._scripts[script_hash][0]

    def put(self, script: Script) -> None:
        """Keep the script, and drop the least recently used ones that no longer fit."""
        if self.get(script.hash) is not None:
            return
        size = len(script.source.encode())
        self._scripts[script.hash] = (script, size)
        self._size += size
        while self._size > self.size_max:
            _, (_, dropped) = self._scripts.popitem(last=False)
            self._size -= dropped
