"""The files of one run: those that its caller gives, and where those go that its script leaves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import frozen

from domain.concurrency.budget import Budget
from domain.errors import InvalidRequest, Problem
from domain.files.asked import AskedFiles, no_files
from domain.files.file import LeftBy, StoredFile
from domain.files.given import inline_file, require_given, stored_file
from domain.files.left import LeftFiles
from domain.files.service import FileService
from domain.identity import Owner
from domain.scripts.files import TRANSFER_S, GivenFile, RunFiles


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
        given = self._given(asked, await self._stored(by.ref.owner, asked))
        require_given(given, size_mb)
        if asked.collect is False:
            return PreparedFiles(RunFiles(size_mb, tuple(given)))
        patterns = None if asked.collect is True else asked.collect
        left = LeftFiles(self._service, by, Budget(TRANSFER_S), patterns)
        return PreparedFiles(RunFiles(size_mb, tuple(given), left), left)

    async def require(self, owner: Owner, size_mb: int | None, asked: AskedFiles, starts_at: datetime) -> None:
        """Raise InvalidRequest, FileNotFound or FileExpired if a run that starts then cannot have the files.

        `size_mb` is what its session has, None of one without files.
        """
        if size_mb is None:
            raise no_files()
        stored = await self._stored(owner, asked)
        require_given(self._given(asked, stored), size_mb)
        for at, each in enumerate(asked.given):
            if each.file_id is not None and stored[each.file_id].expires_at <= starts_at:
                message = f"must be kept longer: the file expires at {stored[each.file_id].expires_at.isoformat()}"
                problems = (Problem(f"/files/{at}/file_id", message),)
                raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter

    async def _stored(self, owner: Owner, asked: AskedFiles) -> Mapping[UUID, StoredFile]:
        ids = {each.file_id for each in asked.given if each.file_id is not None}
        return {file_id: await self._service.get(owner, file_id) for file_id in ids}

    def _given(self, asked: AskedFiles, stored: Mapping[UUID, StoredFile]) -> Sequence[GivenFile]:
        budget = Budget(TRANSFER_S)
        return [
            inline_file(each.path, each.content)
            if each.file_id is None
            else stored_file(self._service, each.path, stored[each.file_id], budget)
            for each in asked.given
        ]
