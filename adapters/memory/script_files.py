"""The files of a run in the test's own process: its script has an `open` that finds and leaves them."""

import io
from collections.abc import Callable

from attrs import define, field
from typing_extensions import override

from domain.errors import RuntimeUnavailable
from domain.files.given import inline_file
from domain.scripts.files import MIB, LeftFile, RunFiles
from domain.scripts.language import Language
from domain.scripts.report import Failure

_IN, _OUT = "/files/in/", "/files/out/"


class _Written(io.BytesIO):
    """Keeps what was written when it is closed."""

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        super().__init__()
        self._keep = keep

    @override
    def close(self) -> None:
        if not self.closed:
            self._keep(self.getvalue())
        super().close()


@define(eq=False)
class ScriptFiles:
    """The folder /files of one run."""

    _files: RunFiles
    _contents: dict[str, bytes] = field(factory=dict, init=False)

    def open(self, path: str, mode: str = "rb") -> io.BytesIO:
        """Open a file by its absolute path, to read it ("rb") or to write it anew ("wb")."""
        if mode == "rb" and path in self._contents:
            return io.BytesIO(self._contents[path])
        if mode == "wb" and path.startswith(_OUT):
            return _Written(lambda content: self._contents.update({path: content}))
        raise FileNotFoundError(path)

    async def deliver(self, language: Language, is_stopped: Callable[[], bool]) -> bool:
        """Read the given files; return whether the run was not stopped meanwhile. Raises RuntimeUnavailable."""
        for each in self._files.given:
            content = b""
            async for piece in each.pieces():
                if is_stopped():
                    return False
                content += piece
            self._contents[_IN + each.path] = content
            if sum(map(len, self._contents.values())) > self._files.size_mb * MIB:
                raise RuntimeUnavailable(language, "a worker did not take its files: no space left. Repeat the call.")
        return not is_stopped()

    async def collect(self) -> Failure | None:
        """Give the sink what the script has left; return why that failed."""
        sink = self._files.sink
        if sink is None:
            return None
        left = {path.removeprefix(_OUT): each for path, each in self._contents.items() if path.startswith(_OUT)}
        wanted = [LeftFile(path, len(each)) for path, each in left.items() if self._files.is_wanted(path)]
        fault = self._files.fault_of_left(wanted, len(left))
        if fault is not None:
            return fault
        for each in wanted:
            if not await sink.take(each, inline_file(each.path, left[each.path]).pieces()):
                return None
        sink.complete()
        return None
