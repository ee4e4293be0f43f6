"""The files that a caller gives to the script of one execution."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

from domain.concurrency.budget import Budget
from domain.errors import InvalidRequest, Problem, StorageUnavailable
from domain.files.file import Span, StoredFile
from domain.files.service import FileService
from domain.scripts.files import COUNT_MAX, FOLDERS_MAX, MIB, PIECE_SIZE, GivenFile, path_fault

_PAGE_SIZE = 4096
"""What a file of at least one byte takes in the folder /files, and a multiple of it."""


def stored_file(service: FileService, path: str, file: StoredFile, budget: Budget) -> GivenFile:
    """Return a file of an owner as one that a script finds.

    Its pieces raise FileNotFound if it is removed meanwhile, and StorageUnavailable when the budget is spent.
    """

    async def pieces() -> AsyncIterator[bytes]:
        async with aclosing(service.pieces(file.owner, file, Span(0, file.size - 1))) as stored:
            while (piece := await budget.spend(anext(stored, None), _late)) is not None:
                yield piece
                service.stats.given_bytes += len(piece)

    return GivenFile(path, file.size, pieces, file.file_id)


def inline_file(path: str, content: bytes) -> GivenFile:
    """Return a file whose content is in the request."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), PIECE_SIZE):
            yield content[at : at + PIECE_SIZE]

    return GivenFile(path, len(content), pieces)


def require_given(files: Sequence[GivenFile], size_mb: int) -> None:
    """Raise InvalidRequest, with a problem for each file that a script cannot find beside the others."""
    problems = tuple(_problems(files, size_mb))
    if problems:
        raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


def _late() -> StorageUnavailable:
    return StorageUnavailable(stored="no", executed="no")


def _problems(files: Sequence[GivenFile], size_mb: int) -> Iterator[Problem]:
    if len(files) > COUNT_MAX:
        yield Problem("/files", f"has {len(files)} files; the limit is {COUNT_MAX}")
    size, size_max = sum(-each.size % _PAGE_SIZE + each.size for each in files), size_mb * MIB
    if size > size_max:
        yield Problem("/files", f"takes {size} bytes in pages of {_PAGE_SIZE}; files.size_mb allows {size_max}")
    folders = {folder for each in files for folder in _folders(each.path)}
    if len(folders) > FOLDERS_MAX:
        yield Problem("/files", f"has {len(folders)} folders; the limit is {FOLDERS_MAX}")
    counts = Counter(each.path for each in files)
    for at, each in enumerate(files):
        why = path_fault(each.path)
        if why is not None:
            yield Problem(f"/files/{at}/path", f"must be another path: {why}")
        elif counts[each.path] > 1 or each.path in folders:
            yield Problem(f"/files/{at}/path", f"must be another path: {each.path} is named twice, or is a folder too")


def _folders(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))
