"""A tree: the files of an environment. Each member is judged before it is written, at the build and on each host."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from attrs import define, field, frozen

from domain.clock import MonotonicClock
from domain.errors import Unavailable

PART_SIZE_MAX = 255
"""Bytes of a name between slashes."""
PATH_SIZE_MAX = 1_024
DEPTH_MAX = 32

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STARTED_BY_PYTHON = frozenset({"sitecustomize", "usercustomize"})
_FILE_MODES = frozenset({0o644, 0o755})
_FOLDER_MODE = 0o755


class MemberKind(StrEnum):
    """What a member is; a tree has FILE and FOLDER only."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    HARD_LINK = "hard link"
    DEVICE = "device"
    PIPE = "pipe"
    UNKNOWN = "unknown kind"


@frozen
class TreeMember:
    """A member as an archive has it. Its name has no slash at its end."""

    name: str
    kind: MemberKind = MemberKind.FILE
    mode: int = 0o644
    size: int = 0
    owner: int = 0
    group: int = 0
    mtime: float = 0


@frozen
class TreeLimits:
    """The bytes of all files, and the number of members."""

    bytes_max: int
    members_max: int


_REFUSALS_MAX = 8
_REFUSAL_NS = 10 * 60 * 1_000_000_000


@define(eq=False)
class TreeStats:
    """Trees of a host that were fetched, refused, found changed on the disk, and removed for others."""

    _monotonic_ns: MonotonicClock
    fetched: int = 0
    refused: int = 0
    changed: int = 0
    evicted: int = 0
    bytes: int = 0
    """Bytes of the trees on the disk, as of the last fetch."""
    _refusals: dict[str, tuple[int, str]] = field(factory=dict, init=False)

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why trees are not here, by their digest: the last _REFUSALS_MAX of those of the last _REFUSAL_NS."""
        since_ns = self._monotonic_ns() - _REFUSAL_NS
        return {digest: reason for digest, (at_ns, reason) in self._refusals.items() if at_ns > since_ns}

    def take(self, digest: str) -> None:
        """Count a tree that has come."""
        self.fetched += 1
        self.find(digest)

    def find(self, digest: str) -> None:
        """Forget the refusal of a tree that is here; another process of the host may have fetched it."""
        self._refusals.pop(digest, None)

    def refuse(self, digest: str, reason: str) -> None:
        """Count a tree that was not accepted."""
        self.refused += 1
        self._refusals.pop(digest, None)
        self._refusals[digest] = (self._monotonic_ns(), reason)
        if len(self._refusals) > _REFUSALS_MAX:
            del self._refusals[next(iter(self._refusals))]


CHUNK_SIZE = 262_144
"""Bytes of a chunk of packed bytes; the last one of a tree may be shorter."""


@frozen
class StoredTree:
    """The facts of a packed tree. `digest` is the SHA-256 of the packed bytes, 64 hexadecimal digits."""

    digest: str
    format: int
    size: int
    files: int
    packed_size: int

    @property
    def chunks(self) -> int:
        """The number of its chunks."""
        return -(-self.packed_size // CHUNK_SIZE)


@define(eq=False)
class TreeUnavailable(Unavailable):
    """This host does not have a tree, and cannot fetch it now. Nothing was started."""

    code: ClassVar[str] = "RUNTIME_UNAVAILABLE"
    digest: str
    reason: str
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 2000

    @property
    def message(self) -> str:
        return f"The packages of the session's environment are not on this host: {self.reason}"


@define(eq=False)
class BadTree(Exception):
    """A member does not belong in a tree, so the whole tree is not used."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name[:PATH_SIZE_MAX]!r} {self.reason}"


@define(eq=False)
class TreeJudge:
    """Judges the members of one tree, in the order in which they come."""

    _limits: TreeLimits
    size: int = field(default=0, init=False)
    """The bytes of the files so far."""
    count: int = field(default=0, init=False)
    _last: bytes = field(default=b"", init=False)
    _folders: set[str] = field(factory=set, init=False)

    def judge(self, member: TreeMember) -> None:
        """Accept a member, or raise BadTree."""
        fault = _name_fault(member.name) or _kind_fault(member) or self._order_fault(member) or self._size_fault(member)
        if fault is not None:
            raise BadTree(member.name, fault)
        self.count += 1
        self.size += member.size
        self._last = member.name.encode()
        if member.kind is MemberKind.FOLDER:
            self._folders.add(member.name)

    def _order_fault(self, member: TreeMember) -> str | None:
        """Names ascend, so none is there twice, and a folder comes before what is in it."""
        if member.name.encode() <= self._last:
            return "does not follow the member before it by name"
        parent = member.name.rpartition("/")[0]
        return "is in no folder of the tree" if parent and parent not in self._folders else None

    def _size_fault(self, member: TreeMember) -> str | None:
        limits = self._limits
        if self.count >= limits.members_max:
            return f"is one more than the {limits.members_max:,} files and folders that are allowed"
        if self.size + member.size > limits.bytes_max:
            return f"makes the tree larger than the {limits.bytes_max:,} bytes that are allowed"
        return None


def _name_fault(name: str) -> str | None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "has a name that is no UTF-8"
    parts = name.split("/")
    if _CONTROL.search(name) or "\\" in name:
        return "has a name with a control character or a backslash"
    if any(part in ("", ".", "..") for part in parts):
        return "has a name that leaves the tree, or an empty part of it"
    if size > PATH_SIZE_MAX or len(parts) > DEPTH_MAX or any(len(part.encode()) > PART_SIZE_MAX for part in parts):
        return f"has a name over {PATH_SIZE_MAX} bytes, {PART_SIZE_MAX} of a part, or {DEPTH_MAX} folders deep"
    if name.lower().endswith(".pth") or parts[0].lower().partition(".")[0] in _STARTED_BY_PYTHON:
        return "would be run by each start of Python"
    return None


def _kind_fault(member: TreeMember) -> str | None:
    if member.kind not in (MemberKind.FILE, MemberKind.FOLDER):
        return f"is a {member.kind}"
    is_folder = member.kind is MemberKind.FOLDER
    if member.mode not in ({_FOLDER_MODE} if is_folder else _FILE_MODES):
        return f"has the mode {member.mode:o}"
    if (member.owner, member.group, member.mtime) != (0, 0, 0):
        return "has an owner, a group or a time other than 0"
    if member.size < 0 or (is_folder and member.size):
        return f"has the size {member.size:,}"
    return None
