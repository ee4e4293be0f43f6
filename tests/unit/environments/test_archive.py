"""Trees are packed and unpacked as they were, and a bad archive writes nothing beside its folder."""

import os
import stat
import tarfile
import zlib

import pytest

from adapters.environments.archive import Unpacker, packed
from domain.environments.tree import BadTree, TreeJudge, TreeLimits

LIMITS = TreeLimits(bytes_max=10_000_000, members_max=1_000)
LONG = "a" * 120


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "lib" / LONG).mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "lib" / "a.py").write_text("x = 1\n")
    (folder / "lib.txt").write_bytes(b"")
    (folder / "lib" / LONG / f"{LONG}.so").write_bytes(bytes(range(256)) * 3_000)
    (folder / "lib" / "\u00e9\u4e16.txt").write_bytes(b"x" * 512)
    (folder / "lib" / "run").write_bytes(b"#!/bin/sh\n")
    (folder / "lib" / "run").chmod(0o700)
    (folder / "lib" / "a.py").chmod(0o640)
    return folder


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "within" / "target"
    folder.mkdir(parents=True)
    return folder


def unpacked(data: bytes, target, step: int = 1 << 20, limits: TreeLimits = LIMITS) -> Unpacker:
    unpacker = Unpacker(target, limits)
    try:
        for at in range(0, len(data), step):
            unpacker.feed(data[at : at + step])
        unpacker.end()
    finally:
        unpacker.close()
    return unpacker


def facts(folder):
    return {
        str(path.relative_to(folder)): None if path.is_dir() else (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in folder.rglob("*")
    }


def test_a_tree_is_unpacked_as_it_was_packed(source, target):
    unpacker = unpacked(b"".join(packed(source, TreeJudge(LIMITS))), target)
    (source / "lib" / "run").chmod(0o755)
    (source / "lib" / "a.py").chmod(0o644)
    assert facts(target) == facts(source)
    assert unpacker.size == sum(len(each[0]) for each in facts(source).values() if each)


def test_equal_trees_have_equal_bytes(source, tmp_path):
    first, copy = b"".join(packed(source, TreeJudge(LIMITS))), tmp_path / "copy"
    copy.mkdir()
    unpacked(first, copy)
    assert b"".join(packed(copy, TreeJudge(LIMITS))) == first


@pytest.mark.parametrize("step", [1, 100, 4_097])
def test_a_tree_is_the_same_however_its_bytes_are_split(source, target, step):
    (source / "lib" / LONG / f"{LONG}.so").write_bytes(b"x" * 3_000)
    unpacked(b"".join(packed(source, TreeJudge(LIMITS))), target, step)
    assert facts(target).keys() == facts(source).keys()


@pytest.mark.parametrize("make", ["link", "pipe", "set-uid", "pth"])
def test_a_folder_with_something_else_is_not_packed(source, make):
    path = source / "lib" / "x.pth"
    match make:
        case "link":
            path.symlink_to("/etc/passwd")
        case "pipe":
            os.mkfifo(path)
        case _:
            path.write_text("import os")
            path.chmod(0o4755 if make == "set-uid" else 0o644)
    with pytest.raises(BadTree):
        b"".join(packed(source, TreeJudge(LIMITS)))


def test_a_tree_over_its_limits_is_neither_packed_nor_unpacked(source, target):
    data, small = b"".join(packed(source, TreeJudge(LIMITS))), TreeLimits(bytes_max=1_000, members_max=100)
    with pytest.raises(BadTree, match="1,000 bytes that are allowed"):
        b"".join(packed(source, TreeJudge(small)))
    with pytest.raises(BadTree, match="1,000 bytes that are allowed"):
        unpacked(data, target, limits=small)


def member(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **changes) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, len(content), 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in changes.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)


def extended(size: int | None = None, **keys: str) -> bytes:
    """Return an extended header with these keys, which says that it has so many bytes."""
    lines = [f" {key}={value}\n" for key, value in keys.items()]
    body = "".join(f"{len(line) + 2 if len(line) > 7 else len(line) + 1}{line}" for line in lines).encode()
    return member("x", tarfile.XHDTYPE, body) if size is None else member("x", tarfile.XHDTYPE, size=size) + body


END = bytes(1_024)
BAD = {
    "absolute": member("/tmp/x"),
    "parent": member("../x"),
    "parent by an extended header": extended(path="../x") + member("x"),
    "a link": member("x", tarfile.SYMTYPE, linkname="/etc"),
    "a file through a link": member("x", tarfile.SYMTYPE, linkname="..") + member("x/y", content=b"1"),
    "a hard link": member("x", tarfile.LNKTYPE, linkname="/etc/passwd"),
    "a device": member("x", tarfile.CHRTYPE),
    "a pipe": member("x", tarfile.FIFOTYPE),
    "an old file": member("x", tarfile.AREGTYPE),
    "a long name of GNU": member("././@LongLink", tarfile.GNUTYPE_LONGNAME, b"x\0"),
    "a sparse file": member("x", tarfile.GNUTYPE_SPARSE),
    "headers for all": member("x", tarfile.XGLTYPE, b"11 path=a\n"),
    "set-uid": member("x", mode=0o4755),
    "an owner": member("x", uid=1),
    "a time": member("x", mtime=1),
    "double": member("x") + member("x"),
    "in no folder": member("x/y"),
    "pth": member("x.pth", content=b"import os"),
    "two headers": extended(path="a") + extended(path="b") + member("x"),
    "a header with a time": extended(path="a", mtime="1") + member("x"),
    "a large header": extended(1 << 33, path="a") + member("x"),
    "an empty header": member("x", tarfile.XHDTYPE),
    "a wrong sum": member("x")[:-20].replace(b"x", b"y", 1) + bytes(20),
    "bytes between": member("x", content=b"1")[:-1] + b"1" + member("y"),
    "members behind the end": END[:512] + member("x"),
    "10 GB of zeros": member("x", size=10_000_000_000),
    "a negative size": member("x")[:124] + b"\xff" * 12 + member("x")[136:],
}


def test_what_the_bad_ones_are_made_of_is_accepted_alone(target):
    parts = [extended(path="a/") + member("x", tarfile.DIRTYPE), extended(path="a/b") + member("x", content=b"1")]
    unpacked(zlib.compress(b"".join(parts) + END), target)
    assert facts(target) == {"a": None, "a/b": (b"1", 0o644)}


@pytest.mark.parametrize("archive", BAD.values(), ids=BAD)
def test_a_bad_archive_is_refused_and_writes_nothing_elsewhere(archive, target):
    with pytest.raises(BadTree):
        unpacked(zlib.compress(archive + END), target)
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert not any(path.is_symlink() for path in target.rglob("*"))


GOOD = zlib.compress(member("x", content=b"1") + END)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        GOOD[:-5],
        GOOD[:10] + bytes([GOOD[10] ^ 1]) + GOOD[11:],
        GOOD + b"more",
        GOOD + GOOD,
        zlib.compress(member("x", content=b"1")),
        zlib.compress(member("x", content=b"1") + END[:512]),
        zlib.compress(member("x", content=b"1") + END + END),
        zlib.compress(member("x", content=b"1") + END + b"more"),
        zlib.compress(member("x", content=b"1" * 600)[:700]),
    ],
    ids=[
        "nothing",
        "text",
        "half",
        "a bit",
        "more",
        "twice",
        "no end",
        "half an end",
        "two ends",
        "rest",
        "half a file",
    ],
)
def test_bytes_that_are_damaged_are_refused(data, target):
    with pytest.raises(BadTree):
        unpacked(data, target)


def test_zeros_that_are_packed_tightly_take_little_memory(target):
    compressor, zeros = zlib.compressobj(9), bytes(1 << 20)
    parts = [member("x", size=64 << 20), *[zeros] * 32]
    unpacker = Unpacker(target, TreeLimits(bytes_max=1 << 40, members_max=10))
    unpacker.feed(b"".join(map(compressor.compress, parts)) + compressor.flush(zlib.Z_SYNC_FLUSH))
    assert unpacker.unwritten_size == 0
    unpacker.close()
