"""What a build takes of the disk while its tools run."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from adapters.environments.copies import free_bytes
from domain.environments.tree import TreeLimits

FACTOR = 3
"""A build takes at most so many times what a tree may have: tools unpack files beside the tree, and copy them."""
FREE_MIN = 64 * 1024 * 1024
"""Bytes that a build leaves free on the disk."""
_PAUSE_S = 0.25
_REST_FACTOR = 4
"""A look takes at most a fifth of the time."""
_BLOCK_SIZE = 512
_MIB = 1024 * 1024


@frozen
class DiskWatch:
    """Looks at the folder of a build again and again; between two looks it may grow further."""

    _folder: Path
    _limits: TreeLimits
    _free: Callable[[Path], int] = free_bytes

    async def excess(self) -> str:
        """Return what exceeds a limit, as soon as something does."""
        while True:
            started_s = time.monotonic()
            found = await asyncio.to_thread(self.found)
            if found:
                return found
            await asyncio.sleep(_PAUSE_S + _REST_FACTOR * (time.monotonic() - started_s))

    def found(self) -> str:
        """Return what exceeds a limit now; nothing if all is well."""
        sizes = list(_sizes(self._folder))
        size_max, files_max = FACTOR * self._limits.bytes_max, FACTOR * self._limits.members_max
        if sum(sizes) > size_max:
            return (
                f"it took {sum(sizes) // _MIB:,} MiB of the disk, and {FACTOR} times MAX_ENVIRONMENT_MB are allowed "
                f"({size_max // _MIB:,} MiB)"
            )
        if len(sizes) > files_max:
            return f"it made {len(sizes):,} files, and {FACTOR} times MAX_ENVIRONMENT_FILES are allowed ({files_max:,})"
        free = self._free(self._folder)
        if free < FREE_MIN:
            return (
                f"the disk of {self._folder.parent} has {free // _MIB:,} MiB free, and a build leaves "
                f"{FREE_MIN // _MIB} MiB. Free the disk, and create the environment again"
            )
        return ""


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the bytes on the disk of each file and folder; what is removed meanwhile does not count."""
    for parent, _, names in os.walk(folder, onerror=None):
        for path in (parent, *(os.path.join(parent, name) for name in names)):  # noqa: PTH118  # thousands of them
            try:
                yield os.lstat(path).st_blocks * _BLOCK_SIZE
            except OSError:
                continue
