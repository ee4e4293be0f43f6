"""The files of one run: what its script finds below /files/in, and what is collected of that which it leaves."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cached_property
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.scripts.report import Failure, FailureCode

PIECE_SIZE = 262_144
"""Bytes of each piece of a file but the last one."""
COUNT_MAX = 64
"""Files that a script finds, and those that are collected."""
PATTERNS_MAX = 64
"""Patterns of the paths to collect."""
PATTERNS_LENGTH_MAX = 4096
"""Characters of all patterns together."""
FOLDERS_MAX = 64
"""Folders of the files that a script finds."""
LEVELS_MAX = 8
PART_SIZE_MAX = 255
"""Bytes of a part of a path, as UTF-8."""
PATH_SIZE_MAX = 512
MIB = 1 << 20
TRANSFER_S = 10.0
"""The limit of what a worker does with files before a script, and of that after it; statements have as much each."""
FILES_S = 4 * TRANSFER_S
"""What the files of a run may add to its time: delivery and collection, each in the worker and in the database."""


@frozen
class GivenFile:
    """A file that the script finds at this path below /files/in.

    `pieces` yields its `size` bytes in pieces of at most PIECE_SIZE, and raises what reading them raises.
    """

    path: str
    size: int
    pieces: Callable[[], AsyncIterator[bytes]] = field(repr=False, eq=False)
    file_id: UUID | None = None
    """Of one that the service stores; None of one whose content is in the request."""

    def facts(self) -> Mapping[str, object]:
        """Return the file by its API names, with the id as text."""
        stored = {} if self.file_id is None else {"file_id": str(self.file_id)}
        return {"path": self.path, **stored, "bytes": self.size}


@frozen
class LeftFile:
    """What a script has left at this path below /files/out. Without a `size` it is no regular file."""

    path: str
    size: int | None


class FileSink(Protocol):
    """Takes the files that a script has left, in turn."""

    @property
    def patterns(self) -> tuple[str, ...] | None:
        """The paths below /files/out that are collected, with * and ? within a part; None collects everything."""
        ...

    async def take(self, file: LeftFile, pieces: AsyncIterator[bytes]) -> bool:
        """Take a file whose bytes come in pieces of at most PIECE_SIZE; return whether that was possible.

        After False the sink gets no further file. Its owner then knows why.
        """
        ...

    def complete(self) -> None:
        """Learn that it has taken all files. Without this call it keeps none of them."""
        ...


@frozen
class RunFiles:
    """The files of a run. All that the script finds and leaves has at most `size_mb` MiB together.

    A script without a `sink` leaves no files. The runs of one session have the same `size_mb`.
    """

    size_mb: int
    given: tuple[GivenFile, ...] = ()
    sink: FileSink | None = field(default=None, repr=False, eq=False)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...] | None:
        patterns = None if self.sink is None else self.sink.patterns
        return None if patterns is None else tuple(map(_compiled, patterns))

    def is_wanted(self, path: str) -> bool:
        """Return whether a pattern has this path; without patterns each path is wanted.

        A path of 512 characters takes some milliseconds with the patterns that are allowed.
        """
        return self._patterns is None or any(each.match(path) for each in self._patterns)

    def fault_of_left(self, wanted: Sequence[LeftFile], count: int) -> Failure | None:
        """Return why the wanted ones of `count` files cannot be collected; None if they can."""
        for each in wanted:
            why = path_fault(each.path)
            if why is None and each.size is None:
                why = f"it is no regular file, or lies in more than {LEVELS_MAX - 1} folders"
            if why is not None:
                return refused(why, each.path)
        double = next((path for path, times in Counter(each.path for each in wanted).items() if times > 1), None)
        if double is not None:
            return refused("it is listed twice", double)
        return self._fault_of_sizes(wanted, count)

    def _fault_of_sizes(self, wanted: Sequence[LeftFile], count: int) -> Failure | None:
        if count > COUNT_MAX:
            message = (
                f"The script left more than {COUNT_MAX} files below /files/out, so none was collected. Put them into "
                "an archive."
            )
            return Failure(FailureCode.FILES_TOO_LARGE, message, limit=COUNT_MAX, observed=count)
        size, size_max = sum(each.size or 0 for each in wanted), self.size_mb * MIB
        if size > size_max:
            message = (
                f"The script left files of {size} bytes below /files/out, and {size_max} are allowed (files.size_mb), "
                "so none was collected. Write less, or remove what nobody needs."
            )
            return Failure(FailureCode.FILES_TOO_LARGE, message, limit=size_max, observed=size)
        return None


def refused(why: str, path: str = "") -> Failure:
    """Return the failure of a script whose files were not collected, for this reason in the one at the path if any.

    The path is shown as JSON escapes it, where secrets are found. One that is too long is not shown: its worker may
    have cut it within a secret.
    """
    shown = json.dumps(path)[1:-1]
    if len(path.encode("utf-8", "surrogatepass")) > PATH_SIZE_MAX:
        shown = "a file"
    because = f"because of {shown}: {why}. Remove or rename it" if shown else f"because {why}"
    message = f"No file below /files/out was collected, {because}."
    return Failure(FailureCode.FILES_REFUSED, message)


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return what matches as * and ? say. No group is tried again: the time is at most the product of both lengths."""
    first, *others = (re.escape(each).replace(r"\?", "[^/]") for each in re.split(r"\*+", pattern))
    inner = "".join(f"(?>[^/]*?{each})" for each in others[:-1])
    last = f"[^/]*{others[-1]}" if others else ""
    return re.compile(rf"{first}{inner}{last}\Z", re.DOTALL)


def path_fault(path: str) -> str | None:
    """Return why no file can have this path; None if one can."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "a part of its path is empty, . or .."
    if not path.isprintable() or "\\" in path or "\ufffd" in path:
        return "its path has a character that is not printable, a backslash, or bytes that are not UTF-8"
    if len(parts) > LEVELS_MAX:
        return f"its path has {len(parts)} parts, and {LEVELS_MAX} are allowed"
    if len(path.encode()) > PATH_SIZE_MAX or any(len(part.encode()) > PART_SIZE_MAX for part in parts):
        return f"its path has more than {PATH_SIZE_MAX} bytes, or a part of it more than {PART_SIZE_MAX}"
    return None
