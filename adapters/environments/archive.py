"""The packed form of a tree, format 1: zlib over a tar whose names ascend, without owners and times."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from attrs import define, field

from domain.environments.tree import BadTree, MemberKind, TreeJudge, TreeLimits, TreeMember

FORMAT = 1
_LEVEL = 1
"""Higher ones take several times as long for a tenth less."""
_BLOCK = tarfile.BLOCKSIZE
_PIECE_SIZE = 262_144
_EXTENDED_SIZE_MAX = 4_096
"""Bytes of an extended header: it has a name only."""
_KINDS = {
    tarfile.REGTYPE: MemberKind.FILE,
    tarfile.DIRTYPE: MemberKind.FOLDER,
    tarfile.SYMTYPE: MemberKind.LINK,
    tarfile.LNKTYPE: MemberKind.HARD_LINK,
    tarfile.CHRTYPE: MemberKind.DEVICE,
    tarfile.BLKTYPE: MemberKind.DEVICE,
    tarfile.FIFOTYPE: MemberKind.PIPE,
}
_END = bytes(_BLOCK)


def packed(folder: Path, judge: TreeJudge) -> Iterator[bytes]:
    """Yield the packed bytes of a folder; equal folders have equal bytes. Raises BadTree."""
    compressor = zlib.compressobj(_LEVEL)
    yield from map(compressor.compress, plain(folder, judge))
    yield compressor.flush()


def plain(folder: Path, judge: TreeJudge) -> Iterator[bytes]:
    """Yield the bytes of a folder as they are before they are packed. Raises BadTree."""
    for name in sorted(_names(folder), key=os.fsencode):
        path = folder / name
        member = _member_of(name, path)
        judge.judge(member)
        yield _head(member)
        if member.kind is MemberKind.FILE:
            yield from _content(path, member.size)
    yield 2 * _END


def _names(folder: Path) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        below = Path(where).relative_to(folder)
        yield from (str(below / name) for name in (*folders, *files))


def _member_of(name: str, path: Path) -> TreeMember:
    """Describe a file or a folder as a tree has it: who may execute it is kept, and nothing else of its rights."""
    found = path.lstat()
    if path.is_symlink():
        return TreeMember(name, MemberKind.LINK)
    if path.is_dir():
        return TreeMember(name, MemberKind.FOLDER, 0o755)
    if not path.is_file():
        return TreeMember(name, MemberKind.UNKNOWN)
    special = found.st_mode & 0o7000
    return TreeMember(name, mode=special | (0o755 if found.st_mode & 0o100 else 0o644), size=found.st_size)


def _head(member: TreeMember) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.type = tarfile.DIRTYPE if member.kind is MemberKind.FOLDER else tarfile.REGTYPE
    info.mode, info.size = member.mode, member.size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Yield the bytes of a file, filled up to whole blocks; raises BadTree if it changes meanwhile."""
    left = size
    with path.open("rb") as file:
        while piece := file.read(_PIECE_SIZE):
            left -= len(piece)
            yield piece
    if left:
        raise BadTree(path.name, "has changed while it was packed")
    yield bytes(-size % _BLOCK)


@define(eq=False)
class Unpacker:
    """Writes a tree into an empty folder that nobody else writes to, as its packed bytes come.

    Each member is judged before it is written. What was written before a BadTree stays, and the caller removes it.
    """

    _folder: Path
    _limits: TreeLimits
    _judge: TreeJudge = field(init=False)
    _decompressor: "zlib._Decompress" = field(init=False, factory=zlib.decompressobj)
    _digest: "hashlib._Hash" = field(init=False, factory=hashlib.sha256)
    _unread: bytearray = field(init=False, factory=bytearray)
    _file: IO[bytes] | None = field(init=False, default=None)
    _left: int = field(init=False, default=0)
    """Bytes that the open file lacks."""
    _padding: int = field(init=False, default=0)
    _extended: int | None = field(init=False, default=None)
    """The size of the extended header that comes next."""
    _name: str | None = field(init=False, default=None)
    """The name of the next member, by an extended header."""
    _ends: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._judge = TreeJudge(self._limits)

    @property
    def size(self) -> int:
        """The bytes of the files so far."""
        return self._judge.size

    @property
    def files(self) -> int:
        """The files and folders so far."""
        return self._judge.count

    @property
    def plain_digest(self) -> str:
        """The SHA-256 of the bytes so far as they were before they were packed."""
        return self._digest.hexdigest()

    @property
    def unwritten_size(self) -> int:
        """The bytes that have come and cannot be used before more come."""
        return len(self._unread)

    def feed(self, packed_bytes: bytes) -> None:
        """Take the next packed bytes; raises BadTree, and OSError if the disk is full."""
        waiting = packed_bytes
        while waiting and not self._decompressor.eof:
            try:
                piece = self._decompressor.decompress(waiting, _PIECE_SIZE)
            except zlib.error as error:
                raise BadTree("", f"cannot be unpacked: {error}") from error
            self._digest.update(piece)
            self._unread += piece
            waiting = self._decompressor.unconsumed_tail
            self._read()
        if waiting or self._decompressor.unused_data:
            raise BadTree("", "has bytes behind its end")

    def end(self) -> None:
        """Take note that all bytes have come; raises BadTree if the tree has no end."""
        if not self._decompressor.eof or self._ends != 2 or self._unread:  # two empty blocks
            raise BadTree("", "ends too early, or has bytes behind its end")

    def close(self) -> None:
        """Close the file that is open, if the tree has no end."""
        if self._file is not None:
            self._file.close()

    def _read(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        """Use what has come; return whether more of it may be used."""
        if self._file is not None:
            return self._write(self._file)
        if self._padding:
            return self._skip()
        if self._extended is not None:
            return self._read_extended(self._extended)
        return self._read_head()

    def _write(self, file: IO[bytes]) -> bool:
        piece = self._take(min(self._left, len(self._unread)))
        file.write(piece)
        self._left -= len(piece)
        if not self._left:
            file.close()
            self._file = None
            return True
        return False

    def _skip(self) -> bool:
        if len(self._unread) < self._padding:
            return False
        if any(self._take(self._padding)):
            raise BadTree("", "has bytes between its members")
        self._padding = 0
        return True

    def _read_extended(self, size: int) -> bool:
        if len(self._unread) < size:
            return False
        self._name, self._extended, self._padding = _name_in(self._take(size)), None, -size % _BLOCK
        return True

    def _read_head(self) -> bool:
        if len(self._unread) < _BLOCK:
            return False
        block = self._take(_BLOCK)
        if block == _END:
            self._ends += 1
        elif self._ends:
            raise BadTree("", "has members behind its end")
        else:
            self._begin(_parsed(block))
        return True

    def _begin(self, info: tarfile.TarInfo) -> None:
        if info.type == tarfile.XHDTYPE:
            if self._name is not None or not 0 < info.size <= _EXTENDED_SIZE_MAX:
                raise BadTree("", f"has an extended header of {info.size:,} bytes, or two for one member")
            self._extended = info.size
            return
        name, self._name = (info.name if self._name is None else self._name), None
        kind = _KINDS.get(info.type, MemberKind.UNKNOWN)
        if kind is MemberKind.FOLDER:
            name = name.removesuffix("/")
        member = TreeMember(name, kind, info.mode, info.size, info.uid, info.gid, info.mtime)
        self._judge.judge(member)
        self._make(member)

    def _make(self, member: TreeMember) -> None:
        path = self._folder / member.name
        if member.kind is MemberKind.FOLDER:
            path.mkdir(mode=member.mode)
            return
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._file, self._left, self._padding = os.fdopen(made, "wb"), member.size, -member.size % _BLOCK
        os.fchmod(made, member.mode)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken


def _parsed(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise BadTree("", f"has a member that cannot be read: {error}") from error


def _name_in(header: bytes) -> str:
    """Return the name in an extended header, which has nothing else: `LENGTH path=NAME` and a line feed."""
    length, _, rest = header.partition(b" ")
    if length != str(len(header)).encode() or not rest.startswith(b"path=") or not rest.endswith(b"\n"):
        raise BadTree("", "has an extended header with more than a name")
    return rest[len(b"path=") : -1].decode(errors="surrogateescape")
