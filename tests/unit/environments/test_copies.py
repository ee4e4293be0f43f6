"""Trees on a host: fetched once, verified, and removed when the disk is needed."""

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import define, evolve, field, frozen

from adapters.environments.archive import packed
from adapters.environments.copies import TreeCopies
from adapters.environments.folder import PartialTree, TreeFolder
from adapters.memory.environments import MemoryEnvironmentStore, MemoryTreeStore
from domain.environments.tree import CHUNK_SIZE, StoredTree, TreeJudge, TreeLimits, TreeUnavailable
from domain.errors import StorageUnavailable
from tests.support.waiting import until

LIMITS = TreeLimits(10_000_000, 100)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
GIB = 1024**3


@define(eq=False)
class CountingStore(MemoryTreeStore):
    """Counts reads of chunks; while `gate` is closed, they wait."""

    reads: int = 0
    gate: asyncio.Event = field(factory=asyncio.Event)

    async def read(self, digest: str, seq: int) -> bytes | None:
        self.reads += 1
        await self.gate.wait()
        return await MemoryTreeStore.read(self, digest, seq)


def files(folder: Path, content: bytes = b"x") -> Path:
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").write_bytes(b"VALUE = 1\n")
    (folder / "package" / "data.bin").write_bytes(content * 400_000)
    return folder


async def stored(store: MemoryTreeStore, folder: Path) -> StoredTree:
    """Store the files of a folder as a complete tree."""
    judge = TreeJudge(LIMITS)
    data = b"".join(packed(folder, judge))
    tree = StoredTree(hashlib.sha256(data).hexdigest(), 1, judge.size, judge.count, len(data))
    await store.begin(tree, NOW)
    for seq in range(tree.chunks):
        await store.write(tree.digest, seq, data[seq * CHUNK_SIZE : (seq + 1) * CHUNK_SIZE])
    store.store.complete.add(tree.digest)
    return tree


@pytest.fixture
def store() -> CountingStore:
    found = CountingStore(MemoryEnvironmentStore())
    found.gate.set()
    return found


@pytest.fixture
async def tree(store, tmp_path) -> StoredTree:
    return await stored(store, files(tmp_path / "source", os.urandom(1)))


@pytest.fixture
async def copies(store, tmp_path) -> AsyncIterator[TreeCopies]:
    made = copies_in(tmp_path, store)
    await made.open()
    yield made
    await made.close()


def copies_in(tmp_path: Path, store: MemoryTreeStore | None, **changed: object) -> TreeCopies:
    options = {"limits": LIMITS, "bytes_max": GIB, "wait_s": 30.0} | changed
    return TreeCopies(TreeFolder(tmp_path / "environments"), store, **options)


async def test_a_tree_is_fetched_once_and_is_as_it_was_packed(copies, store, tree):
    held = [await copies.hold(tree.digest) for _ in range(2)]
    assert {each.path.name for each in held} == {tree.digest}
    assert (held[0].path / "package" / "__init__.py").read_bytes() == b"VALUE = 1\n"
    assert (held[0].path.stat().st_mode & 0o777, copies.stats.fetched, store.reads) == (0o755, 1, tree.chunks)


async def test_callers_that_come_together_share_a_fetch(copies, store, tree):
    store.gate.clear()
    waiting = [asyncio.create_task(copies.hold(tree.digest)) for _ in range(3)]
    await until(lambda: store.reads)
    store.gate.set()
    await asyncio.gather(*waiting)
    assert store.reads == tree.chunks


async def test_a_caller_does_not_wait_for_longer_than_allowed_and_the_fetch_continues(tmp_path, store, tree):
    copies = copies_in(tmp_path, store, wait_s=0.0)
    await copies.open()
    store.gate.clear()
    with pytest.raises(TreeUnavailable, match="being fetched"):
        await copies.hold(tree.digest)
    store.gate.set()
    await until(lambda: copies.stats.fetched)
    (await copies.hold(tree.digest)).release()
    await copies.close()


async def test_a_tree_that_is_not_stored_is_unavailable(copies, tree):
    with pytest.raises(TreeUnavailable, match="no database has them"):
        await copies.hold("0" * 64)


async def test_without_a_store_only_what_was_received_is_there(tmp_path, store, tree):
    host = copies_in(tmp_path, None)
    await host.open()
    with pytest.raises(TreeUnavailable):
        await host.hold(tree.digest)
    assert not await host.has(tree.digest)

    async def pieces() -> AsyncIterator[bytes]:
        for seq in range(tree.chunks):
            chunk = await store.read(tree.digest, seq)
            yield chunk[:1000]
            yield chunk[1000:]

    await host.receive(tree, pieces())
    assert await host.has(tree.digest)
    await host.close()


async def test_a_refusal_counts_until_another_process_of_the_host_has_fetched_the_tree(copies, store, tree, tmp_path):
    store.store.complete.discard(tree.digest)
    with pytest.raises(TreeUnavailable):
        await copies.hold(tree.digest)
    assert list(copies.stats.refusals) == [tree.digest]
    store.store.complete.add(tree.digest)
    other = copies_in(tmp_path, store)
    (await other.hold(tree.digest)).release()
    await other.close()
    assert await copies.has(tree.digest)
    assert copies.stats.refusals == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[: len(data) // 2],
        lambda data: data + b"x",
        lambda data: b"",
    ],
    ids=["first byte", "last byte", "half", "more", "nothing"],
)
async def test_a_tree_with_other_bytes_than_its_digest_says_is_not_used(copies, store, tree, change, tmp_path):
    last = tree.chunks - 1
    store.store.chunks[tree.digest, last] = change(store.store.chunks[tree.digest, last])
    with pytest.raises(TreeUnavailable, match="not what was built"):
        await copies.hold(tree.digest)
    assert list((tmp_path / "environments").iterdir()) == []
    assert copies.stats.refused == 1


async def test_the_tree_of_another_digest_is_not_used(copies, store, tree, tmp_path):
    other = await stored(store, files(tmp_path / "other", b"y"))
    for seq in range(tree.chunks):
        store.store.chunks[tree.digest, seq] = store.store.chunks[other.digest, seq]
    with pytest.raises(TreeUnavailable, match=other.digest):
        await copies.hold(tree.digest)


async def test_a_tree_larger_than_the_limits_is_not_used(tmp_path, store, tree):
    copies = copies_in(tmp_path, store, limits=TreeLimits(1000, 100))
    await copies.open()
    with pytest.raises(TreeUnavailable, match="1,000 bytes that are allowed"):
        await copies.hold(tree.digest)
    await copies.close()


async def test_a_tree_of_a_later_format_is_not_fetched(copies, store, tree):
    store.store.trees[tree.digest] = evolve(tree, format=2)
    with pytest.raises(TreeUnavailable, match="format 2"):
        await copies.hold(tree.digest)


async def test_a_failure_of_the_database_is_reported_and_the_next_call_fetches_again(copies, store, tree, tmp_path):
    store.store.failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await copies.hold(tree.digest)
    store.store.failure = None
    (await copies.hold(tree.digest)).release()
    assert not list((tmp_path / "environments").glob("*.partial"))


def change_byte(folder: Path) -> None:
    path = folder / "package" / "data.bin"
    content = bytearray(path.read_bytes())
    content[200_000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        change_byte,
        lambda folder: (folder / "package" / "data.bin").unlink(),
        lambda folder: (folder / "more.py").write_bytes(b""),
        lambda folder: (folder / "package" / "data.bin").chmod(0o755),
        lambda folder: (folder / "package" / "link").symlink_to("/etc/passwd"),
        lambda folder: folder.with_name(f"{folder.name}.sum").unlink(),
        lambda folder: folder.with_name(f"{folder.name}.sum").write_text("x"),
    ],
    ids=["byte", "file gone", "file more", "mode", "link", "no sum", "bad sum"],
)
async def test_a_tree_that_was_changed_on_the_disk_is_fetched_again(copies, store, tree, tmp_path, change):
    (await copies.hold(tree.digest)).release()
    change(tmp_path / "environments" / tree.digest)
    later = copies_in(tmp_path, store)
    held = await later.hold(tree.digest)
    assert later.folder.is_unchanged(tree.digest, LIMITS)
    assert (later.stats.changed, later.stats.fetched, held.path.name) == (1, 1, tree.digest)
    await later.close()


async def test_the_trees_that_were_not_used_for_longest_make_way(tmp_path, store):
    trees = [await stored(store, files(tmp_path / f"source{n}", bytes([n]))) for n in range(4)]
    copies = copies_in(tmp_path, store, bytes_max=3 * trees[0].size)
    await copies.open()
    for at, each in enumerate(trees[:3]):
        (await copies.hold(each.digest)).release()
        os.utime(tmp_path / "environments" / f"{each.digest}.sum", (at, at))
    used = await copies.hold(trees[0].digest)
    os.utime(tmp_path / "environments" / f"{trees[0].digest}.sum", (0, 0))
    (await copies.hold(trees[3].digest)).release()
    there = [each for each in trees if (tmp_path / "environments" / each.digest).is_dir()]
    assert there == [trees[0], trees[2], trees[3]]
    assert (used.path / "package").is_dir()
    assert copies.stats.evicted == 1
    used.release()
    used.release()
    await copies.close()


async def test_a_full_disk_names_the_bytes_that_are_missing(tmp_path, store, tree):
    copies = copies_in(tmp_path, store, free=lambda _: tree.size)
    await copies.open()
    with pytest.raises(TreeUnavailable, match=r"lacks 67,108,864 bytes.*MAX_ENVIRONMENTS_MB"):
        await copies.hold(tree.digest)
    assert list((tmp_path / "environments").iterdir()) == []
    await copies.close()


async def test_a_full_disk_gets_room_from_trees_that_nobody_uses(tmp_path, store, tree):
    other = await stored(store, files(tmp_path / "other", b"y"))
    folder = tmp_path / "environments"
    copies = copies_in(tmp_path, store, free=lambda _: GIB if not (folder / other.digest).is_dir() else 0)
    await copies.open()
    (await copies.hold(other.digest)).release()
    (await copies.hold(tree.digest)).release()
    assert not (folder / other.digest).exists()
    await copies.close()


async def test_what_an_interrupted_fetch_has_left_is_removed_and_what_another_process_writes_stays(tmp_path, store):
    folder = TreeFolder(tmp_path / "environments")
    folder.prepare()
    writing = folder.begin("a" * 64)
    files(folder.path / f"{'b' * 64}.left.partial")
    (folder.path / f"{'c' * 64}.left.partial").write_text("x")
    copies = copies_in(tmp_path, store)
    await copies.open()
    assert list(folder.path.iterdir()) == [writing.path]
    writing.close()
    await copies.close()


async def test_of_two_processes_that_fetch_together_both_get_the_tree(tmp_path, store, tree):
    both = [copies_in(tmp_path, store) for _ in range(2)]
    for each in both:
        await each.open()
    store.gate.clear()
    waiting = [asyncio.create_task(each.hold(tree.digest)) for each in both]
    await until(lambda: store.reads == 2)
    store.gate.set()
    held = await asyncio.gather(*waiting)
    assert held[0].path == held[1].path
    assert sorted(path.name for path in (tmp_path / "environments").iterdir()) == [tree.digest, f"{tree.digest}.sum"]
    for each in both:
        await each.close()


async def test_the_end_of_the_service_ends_a_fetch_and_removes_what_it_wrote(copies, store, tree, tmp_path):
    store.gate.clear()
    waiting = asyncio.create_task(copies.hold(tree.digest))
    await until(lambda: store.reads)
    await copies.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not list((tmp_path / "environments").glob("*"))


@frozen
class SlowFolder(TreeFolder):
    """Verifies and begins trees only while `gate` is open."""

    gate: threading.Event = field(factory=threading.Event)
    waiting: list[str] = field(factory=list)
    begun: list[str] = field(factory=list)

    def is_unchanged(self, digest: str, limits: TreeLimits) -> bool:
        self._pass(digest)
        return TreeFolder.is_unchanged(self, digest, limits)

    def begin(self, digest: str) -> PartialTree:
        self._pass(digest)
        partial = TreeFolder.begin(self, digest)
        self.begun.append(digest)
        return partial

    def _pass(self, digest: str) -> None:
        self.waiting.append(digest)
        self.gate.wait()


async def test_a_caller_that_is_cancelled_while_a_tree_is_verified_leaves_no_lock(copies, store, tree, tmp_path):
    (await copies.hold(tree.digest)).release()
    folder = SlowFolder(tmp_path / "environments")
    later = TreeCopies(folder, store, LIMITS, GIB, 30.0)
    holding = asyncio.create_task(later.hold(tree.digest))
    await until(lambda: folder.waiting)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert folder.evict(tree.digest)
    folder.gate.set()
    await later.close()


async def test_a_caller_that_is_cancelled_while_a_tree_is_begun_leaves_no_folder(store, tree, tmp_path):
    folder = SlowFolder(tmp_path / "environments")
    copies = TreeCopies(folder, None, LIMITS, GIB, 30.0)
    await copies.open()

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    receiving = asyncio.create_task(copies.receive(tree, nothing()))
    await until(lambda: folder.waiting)
    receiving.cancel()
    asyncio.get_running_loop().call_soon(folder.gate.set)
    with pytest.raises(asyncio.CancelledError):
        await receiving
    await until(lambda: folder.begun)
    assert list(folder.path.iterdir()) == []
    await copies.close()
