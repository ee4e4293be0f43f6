"""The files that the script of one execution leaves, which callers see if and only if it is counted."""

from collections.abc import AsyncIterator, Callable

from attrs import define, evolve, field

from domain.concurrency.budget import Budget
from domain.errors import DomainError, FieldTooLarge, QuotaReached
from domain.files.file import FileNotFound, LeftBy, StorageFull, StoredFile
from domain.files.service import FileService
from domain.scripts.collected import CollectedFile
from domain.scripts.files import LeftFile
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.secrets.marks import shortened

NAME_LENGTH_MAX = 255


@define(eq=False)
class LeftFiles:
    """A FileSink that stores what a script leaves.

    `patterns` are the paths to collect, with * and ? within a part; None collects everything. All statements together
    get the `budget`. Callers see paths as `shown` returns them.
    """

    _service: FileService
    _by: LeftBy
    _budget: Budget
    patterns: tuple[str, ...] | None = None
    shown: Callable[[str], str] = str
    error: DomainError | None = field(default=None, init=False)
    """Why a file could not be stored."""
    _taken: dict[str, StoredFile] = field(factory=dict, init=False)
    _is_complete: bool = field(default=False, init=False)
    _is_reported: bool = field(default=False, init=False)

    @property
    def files(self) -> dict[str, StoredFile]:
        """All files by their paths below /files/out, their chunks stored; none if that was not possible for one."""
        return self._taken if self._is_complete else {}

    async def take(self, file: LeftFile, pieces: AsyncIterator[bytes]) -> bool:
        """Store a file; return whether that was possible."""
        try:
            name = shortened(self.shown(file.path.rpartition("/")[2]), NAME_LENGTH_MAX)
            self._taken[file.path] = await self._service.keep(self._by, name, file.size or 0, pieces, self._budget)
        except DomainError as error:
            self.error = error
        return self.error is None

    def complete(self) -> None:
        """Let `files` show what was stored."""
        self._is_complete = True

    def reported(self, report: ScriptReport) -> ScriptReport:
        """Return the report of the run with its files; without a file that could not be stored, it is a failure.

        What was stored in vain is erased.
        """
        self._is_reported = True
        if not self._is_complete:
            self._service.discard(self._taken.values())
        if self.error is not None:
            self._service.stats.lost += 1
            failure = files_lost(self.error)
            return report if report.failure is not None else evolve(report, result=None, state=None, failure=failure)
        return evolve(report, files=tuple(map(self._collected, self._taken))) if self._is_complete else report

    def close(self) -> None:
        """Erase what was stored of a run that has ended without a report."""
        if not self._is_reported:
            self._service.discard(self._taken.values())

    def _collected(self, path: str) -> CollectedFile:
        file = self._taken[path]
        return CollectedFile(self.shown(path), file.file_id, file.size, file.sha256, file.content_type)


def files_lost(error: DomainError) -> Failure:
    """Return the failure of a script that succeeded, and whose files could not be stored. Its state is not saved."""
    why, limit, observed = _cause(error)
    message = (
        f"The script ran, and no file that it left was kept: {why} Do not repeat the call unless the script may run "
        "twice."
    )
    return Failure(FailureCode.FILES_LOST, message, limit=limit, observed=observed)


def _cause(error: DomainError) -> tuple[str, int | None, int | None]:
    """Return why a file could not be stored, the limit that it has reached, and what was observed."""
    if isinstance(error, FieldTooLarge):
        why = f"a file has {error.size} bytes, and MAX_FILE_MB allows {error.size_max}. Write smaller files."
        return why, error.size_max, error.size
    if isinstance(error, QuotaReached):
        why = (
            f"the owner's files would take {error.observed} bytes, and MAX_FILES_MB_PER_OWNER allows {error.allowed}. "
            "Remove files, or wait until some expire."
        )
        return why, error.allowed, error.observed
    if isinstance(error, StorageFull):
        why = f"the files of all owners take {error.observed} bytes, and MAX_FILES_GB allows {error.allowed}."
        return why, error.allowed, error.observed
    if isinstance(error, FileNotFound):
        return "the session or its owner was purged meanwhile.", None, None
    return f"the database did not store one in time ({error.code}).", None, None
