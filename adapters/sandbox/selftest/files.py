"""The files that the scripts of an attack leave, and that those after them find."""

from collections.abc import AsyncIterator, Iterator

from attrs import define, field
from typing_extensions import override

from domain.scripts.files import PIECE_SIZE, FileSink, GivenFile, LeftFile, RunFiles

SIZE_MB = 4


@define(eq=False)
class TrialFiles(FileSink):
    """Keeps what one script leaves, if all of that was collected."""

    kept: dict[str, bytes] = field(factory=dict)
    patterns: tuple[str, ...] | None = None
    _taken: dict[str, bytes] = field(factory=dict, init=False)

    @override
    async def take(self, file: LeftFile, pieces: AsyncIterator[bytes]) -> bool:
        self._taken[file.path] = b"".join([piece async for piece in pieces])
        return True

    @override
    def complete(self) -> None:
        self.kept, self._taken = self._taken, {}

    def of_run(self, size_mb: int = SIZE_MB) -> RunFiles:
        """Return the files of the next run, which finds what the one before has left."""
        return RunFiles(size_mb, tuple(given_file(path, content) for path, content in self.kept.items()), self)


def given_file(path: str, content: bytes) -> GivenFile:
    """Return a file with this content."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in _pieces_of(content):
            yield piece

    return GivenFile(path, len(content), pieces)


def _pieces_of(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), PIECE_SIZE):
        yield content[at : at + PIECE_SIZE]
