"""The files that the script of one execution leaves, which callers see if and only if it is counted."""

from collections.abc import AsyncIterator

from attrs import define, field

from domain.errors import DomainError
from domain.files.file import LeftBy, StoredFile
from domain.files.service import FileService
from domain.scripts.files import LeftFile


@define(eq=False)
class LeftFiles:
    """A FileSink that stores what a script leaves.

    `patterns` are the paths to collect, with * and ? within a part; None collects everything.
    """

    _service: FileService
    _by: LeftBy
    patterns: tuple[str, ...] | None = None
    error: DomainError | None = field(default=None, init=False)
    """Why a file could not be stored."""
    _taken: dict[str, StoredFile] = field(factory=dict, init=False)
    _is_complete: bool = field(default=False, init=False)

    @property
    def files(self) -> dict[str, StoredFile]:
        """All files by their paths below /files/out, their chunks stored; none if that was not possible for one."""
        return self._taken if self._is_complete else {}

    async def take(self, file: LeftFile, pieces: AsyncIterator[bytes]) -> bool:
        """Store a file; return whether that was possible."""
        try:
            self._taken[file.path] = await self._service.keep(self._by, file, pieces)
        except DomainError as error:
            self.error = error
        return self.error is None

    def complete(self) -> None:
        """Let `files` show what was stored."""
        self._is_complete = True
