"""What the call of an execution says about files."""

from uuid import UUID

from attrs import field, frozen

from domain.errors import InvalidRequest, Problem

INLINE_SIZE_MAX = 262_144
"""Bytes of all files together whose content is in the request."""


@frozen
class AskedFile:
    """A file that the script finds at this path below /files/in: one of the owner's by its id, or this content."""

    path: str
    file_id: UUID | None = None
    content: bytes = field(default=b"", repr=False)


@frozen
class AskedFiles:
    """The files that the script finds, and what is collected of those that it leaves.

    `collect` is whether they are collected, or the paths of those to collect, with * and ? within a part.
    """

    given: tuple[AskedFile, ...] = ()
    collect: bool | tuple[str, ...] = False

    @property
    def inline_size(self) -> int:
        """The bytes of the files whose content is in the request."""
        return sum(len(each.content) for each in self.given)


def no_files() -> InvalidRequest:
    """Return the error of a call with files for a session that has none."""
    message = (
        "must be absent, and so must collect: the session has no files. Initialize a session with "
        '"files": {"size_mb": 16}'
    )
    return InvalidRequest((Problem("/files", message),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


def nothing_to_collect() -> InvalidRequest:
    """Return the error of a schedule that collects files of a session, or of a function, that has none."""
    message = (
        "must be absent: what the schedule executes has no files. Initialize the session, or register the function, "
        'with "files": {"size_mb": 16}'
    )
    return InvalidRequest((Problem("/collect", message),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
