"""The unpacked trees of a host: fetched, verified, used, and removed when the disk is needed."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog
from attrs import define, field, frozen
from typing_extensions import override

from adapters.environments.archive import FORMAT, Unpacker
from adapters.environments.folder import Locked, PartialTree, TreeFolder, begun
from domain.clock import MonotonicClock
from domain.environments.ports import HeldTree, TreeCache, TreeStore
from domain.environments.tree import BadTree, StoredTree, TreeLimits, TreeStats, TreeUnavailable
from domain.errors import DomainError

_NICE = 10
_FREE_MIN = 64 * 1024 * 1024
"""Bytes that a fetch leaves free on the disk."""
_MIB = 1024 * 1024

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_log = structlog.get_logger(__name__)


@frozen
class _Held(HeldTree):
    _path: Path
    _lock: Locked

    @property
    @override
    def path(self) -> Path:
        return self._path

    @override
    def release(self) -> None:
        self._lock.release()


def free_bytes(folder: Path) -> int:
    """Return the bytes that the service can still write to the disk of a folder."""
    return shutil.disk_usage(folder).free


@define(eq=False)
class TreeCopies(TreeCache):
    """Keeps trees below `folder`, of `bytes_max` in all unless more are in use.

    A caller waits `wait_s` at most; the fetch continues without it. A tree is hashed again when this process uses it
    first; one that has changed is fetched again.
    """

    folder: TreeFolder
    _store: TreeStore | None
    """None on a runtime host, which gets trees by `receive`."""
    _limits: TreeLimits
    _bytes_max: int
    _wait_s: float
    _free: Callable[[Path], int] = free_bytes
    _monotonic_ns: MonotonicClock = time.monotonic_ns
    stats: TreeStats = field(init=False)
    _verified: set[str] = field(factory=set, init=False)
    _fetches: dict[str, "asyncio.Task[None]"] = field(factory=dict, init=False)
    _thread: ThreadPoolExecutor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.stats = TreeStats(self._monotonic_ns)
        self._thread = ThreadPoolExecutor(1, "trees", _be_nice)

    async def open(self) -> None:
        """Make the folder, and remove what interrupted fetches have left; raises OSError."""
        await self._run(self.folder.prepare)

    async def close(self) -> None:
        """End fetches; what they have written is removed."""
        for fetch in list(self._fetches.values()):
            fetch.cancel()
            with contextlib.suppress(asyncio.CancelledError, DomainError):
                await fetch
        self._thread.shutdown(wait=False)

    @override
    async def hold(self, digest: str) -> HeldTree:
        held = await self._found(digest)
        if held is not None:
            return held
        await self._wait_for(digest)
        held = await self._found(digest)
        if held is None:
            raise TreeUnavailable(digest, "they were removed as soon as they had come. Repeat the call.")
        return held

    async def has(self, digest: str) -> bool:
        """Return whether the tree is here and unchanged."""
        held = await self._found(digest)
        if held is not None:
            held.release()
        return held is not None

    async def receive(self, tree: StoredTree, pieces: AsyncIterator[bytes]) -> None:
        """Store a tree whose packed bytes come in pieces, of any size; raises TreeUnavailable."""
        try:
            await self._make_room(tree)
            partial = await begun(asyncio.ensure_future(self._run(self.folder.begin, tree.digest)))
            try:
                await self._unpack(tree, pieces, partial)
            finally:
                await self._run(partial.close)
        except (BadTree, OSError) as error:
            raise self._refused(tree.digest, self._explained(tree, error)) from error
        self._verified.add(tree.digest)
        self.stats.take(tree.digest)

    async def _found(self, digest: str) -> HeldTree | None:
        lock = self.folder.lock(digest)
        if lock is None:
            return None
        try:
            if not await self._is_verified(digest):
                lock.release()
                await self._run(self.folder.discard, digest)
                return None
            self.folder.touch(digest)
            self.stats.find(digest)
        except BaseException:  # also of a caller that is cancelled
            lock.release()
            raise
        return _Held(self.folder.path / digest, lock)

    async def _is_verified(self, digest: str) -> bool:
        if digest in self._verified:
            return True
        if await self._run(self.folder.is_unchanged, digest, self._limits):
            self._verified.add(digest)
            return True
        _log.warning("tree_changed", digest=digest, folder=str(self.folder.path))
        self.stats.changed += 1
        return False

    async def _wait_for(self, digest: str) -> None:
        fetch = self._fetches.get(digest)
        if fetch is None:
            fetch = asyncio.get_running_loop().create_task(self._fetch(digest), name=f"fetch {digest[:12]}")
            self._fetches[digest] = fetch
            fetch.add_done_callback(lambda ended: self._forget(digest, ended))
        try:
            await asyncio.wait_for(asyncio.shield(fetch), self._wait_s)
        except TimeoutError:
            raise TreeUnavailable(digest, "they are being fetched. Repeat the call after a moment.") from None

    def _forget(self, digest: str, fetch: "asyncio.Task[None]") -> None:
        del self._fetches[digest]
        if not fetch.cancelled() and (error := fetch.exception()) is not None:  # its waiters may have left
            _log.warning("tree_not_fetched", digest=digest, reason=str(error))

    async def _fetch(self, digest: str) -> None:
        tree = None if self._store is None else await self._store.get(digest)
        if self._store is None or tree is None:
            raise self._refused(digest, "no database has them. Build the environment again.")
        if tree.format != FORMAT:
            raise self._refused(digest, f"they are packed in format {tree.format}, of a later release.")
        await self.receive(tree, _chunks(self._store, tree))

    def _refused(self, digest: str, reason: str) -> TreeUnavailable:
        self.stats.refuse(digest, reason)
        return TreeUnavailable(digest, reason)

    async def _unpack(self, tree: StoredTree, pieces: AsyncIterator[bytes], partial: PartialTree) -> None:
        unpacker, packed = Unpacker(partial.path, self._limits), hashlib.sha256()
        size = 0
        try:
            async for piece in pieces:
                size += len(piece)
                if size > tree.packed_size:
                    raise BadTree("", f"has more than {tree.packed_size:,} packed bytes")
                packed.update(piece)
                await self._run(unpacker.feed, piece)
            unpacker.end()
        finally:
            await self._run(unpacker.close)
        if packed.hexdigest() != tree.digest:
            raise BadTree("", f"has the digest {packed.hexdigest()}, not {tree.digest}")
        await self._run(partial.complete, unpacker.plain_digest, unpacker.size)

    async def _make_room(self, tree: StoredTree) -> None:
        """Remove the trees that were not used for longest, as far as the limit and the disk demand."""
        sizes = await self._run(self.folder.sizes)
        present = sum(sizes.values())
        for digest, size in sizes.items():
            is_enough = present + tree.size <= self._bytes_max and self._missing(tree) <= 0
            if is_enough or not await self._run(self.folder.evict, digest):
                continue
            self._verified.discard(digest)
            self.stats.evicted += 1
            present -= size
        self.stats.bytes = present + tree.size
        missing = self._missing(tree)
        if missing > 0:
            raise OSError(f"the disk of {self.folder.path} lacks {missing:,} bytes")

    def _missing(self, tree: StoredTree) -> int:
        return tree.size + _FREE_MIN - self._free(self.folder.path)

    @staticmethod
    def _explained(tree: StoredTree, error: Exception) -> str:
        reason = f"{error}. They need {-(-tree.size // _MIB):,} MiB. Free the disk, or lower MAX_ENVIRONMENTS_MB."
        return reason if isinstance(error, OSError) else f"what was fetched is not what was built: {error}."

    async def _run(
        self, call: Callable[_Arguments, _Result], *arguments: _Arguments.args, **_: _Arguments.kwargs
    ) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)


async def _chunks(store: TreeStore, tree: StoredTree) -> AsyncIterator[bytes]:
    for seq in range(tree.chunks):
        content = await store.read(tree.digest, seq)
        if content is None:
            raise TreeUnavailable(tree.digest, "they were removed from the database meanwhile.")
        yield content


def _be_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
