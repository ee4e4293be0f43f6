"""The files of one run: those that its caller gives, and where those go that its script leaves."""

from attrs import frozen

from domain.concurrency.budget import Budget
from domain.files.asked import AskedFile, AskedFiles
from domain.files.file import LeftBy
from domain.files.given import inline_file, require_given, stored_file
from domain.files.left import LeftFiles
from domain.files.service import FileService
from domain.scripts.files import GivenFile, RunFiles

TRANSFER_S = 10.0
"""What all statements with given files may take, and all with those that are left. Workers have as much."""


@frozen
class PreparedFiles:
    """What a runner gets, and the sink in it, which knows what was collected; None if nothing is to be."""

    run: RunFiles | None = None
    left: LeftFiles | None = None


NO_FILES = PreparedFiles()
"""Of a run whose session has none."""


@frozen
class FilesOfRuns:
    """Makes the files of runs."""

    _service: FileService

    async def prepared(self, by: LeftBy, size_mb: int, asked: AskedFiles | None) -> PreparedFiles:
        """Return the files of a run whose script may have `size_mb` MiB of them.

        Raises InvalidRequest, FileNotFound, FileExpired, StorageUnavailable and Overloaded.
        """
        if asked is None:
            return PreparedFiles(RunFiles(size_mb))
        budget = Budget(TRANSFER_S)
        given = [await self._given(by, each, budget) for each in asked.given]
        require_given(given, size_mb)
        if asked.collect is False:
            return PreparedFiles(RunFiles(size_mb, tuple(given)))
        patterns = None if asked.collect is True else asked.collect
        left = LeftFiles(self._service, by, Budget(TRANSFER_S), patterns)
        return PreparedFiles(RunFiles(size_mb, tuple(given), left), left)

    async def _given(self, by: LeftBy, asked: AskedFile, budget: Budget) -> GivenFile:
        if asked.file_id is None:
            return inline_file(asked.path, asked.content)
        return await stored_file(self._service, by.ref.owner, asked.path, asked.file_id, budget)
