"""Which machine the compiled files of a tree are for, and which libraries they need; read, never run."""

import os
import platform
import re
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from domain.environments.tree import BadTree

_MAGIC = b"\x7fELF"
_LITTLE_64 = b"\x02\x01"
_MACHINES: Mapping[str, int] = {"x86_64": 62, "aarch64": 183}
_LOAD, _DYNAMIC = 1, 2
_END, _NEEDED, _STRINGS = 0, 1, 5
_PROGRAM = struct.Struct("<IIQQQQQQ")
_TAG = struct.Struct("<qQ")
_HEADER_SIZE = 64
_PROGRAMS_MAX = 256
_TAGS_SIZE_MAX = 65_536
_CONTENT_SIZE_MAX = 512 * 1024 * 1024
_NEEDED_MAX = 256
_SONAME = re.compile(r"[A-Za-z0-9_.+-]{1,255}")
_HOSTS_HAVE = re.compile(
    r"(?:libgcc_s|libstdc\+\+|libm|libmvec|libdl|librt|libutil|libpthread|libresolv|libatomic|libz|libexpat|libc)"
    r"\.so\.[0-9]+|ld-linux-[a-z0-9_-]+\.so\.[0-9]+"
)
"""The libraries that sandboxes with packages have: those of manylinux_2_28 without the ones for windows."""


@frozen
class CompiledFile:
    """The machine of an ELF file, by its number, and the libraries that it needs."""

    machine: int
    needed: tuple[str, ...]


class _Broken(Exception):
    """The file begins as an ELF file, and is none of this kind."""


def require_libraries(tree: Path) -> None:
    """Raise BadTree for the first compiled file that hosts of this machine cannot load."""
    compiled = {path: found for path in _regular_files(tree) if (found := _read(path, tree)) is not None}
    own = {path.name for path in compiled}
    for path, found in sorted(compiled.items()):
        fault = _fault(found, own)
        if fault is not None:
            raise BadTree(str(path.relative_to(tree)), fault)


def _regular_files(tree: Path) -> Iterator[Path]:
    for where, _, files in os.walk(tree):
        yield from (path for name in files if (path := Path(where) / name).is_file() and not path.is_symlink())


def _fault(found: CompiledFile, own: Collection[str]) -> str | None:
    machine = platform.machine()
    if found.machine != _MACHINES.get(machine):
        return f"is for another machine than {machine}"
    for name in found.needed:
        if name not in own and not _HOSTS_HAVE.fullmatch(name):
            return f"needs {name}, which neither the packages nor hosts have"
    return None


def _read(path: Path, tree: Path) -> CompiledFile | None:
    """Return what a file says of itself; None if it is no ELF file."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
        file.seek(0)
        content = file.read(_CONTENT_SIZE_MAX)
    try:
        return _parsed(content)
    except (_Broken, struct.error, ValueError) as error:
        raise BadTree(str(path.relative_to(tree)), f"is no 64-bit ELF file that can be read: {error}") from error


def _parsed(content: bytes) -> CompiledFile:
    if content[4:6] != _LITTLE_64 or len(content) < _HEADER_SIZE:
        raise _Broken("it has another class or byte order")
    machine = struct.unpack_from("<H", content, 18)[0]
    table_at, size, count = (
        struct.unpack_from("<Q", content, 32)[0],
        struct.unpack_from("<H", content, 54)[0],
        struct.unpack_from("<H", content, 56)[0],
    )
    if count == 0:
        return CompiledFile(machine, ())  # an object file, which nothing loads
    if size != _PROGRAM.size or count > _PROGRAMS_MAX:
        raise _Broken("its table of segments has another form")
    programs = [_PROGRAM.unpack_from(content, table_at + at * size) for at in range(count)]
    loads = [(address, at, length) for kind, _, at, address, _, length, _, _ in programs if kind == _LOAD]
    dynamic = next(((at, length) for kind, _, at, _, _, length, _, _ in programs if kind == _DYNAMIC), None)
    return CompiledFile(machine, () if dynamic is None else tuple(_needed(content, *dynamic, loads)))


def _needed(content: bytes, at: int, length: int, loads: list[tuple[int, int, int]]) -> Iterator[str]:
    names, facts = [], {}
    for offset in range(at, at + min(length, _TAGS_SIZE_MAX), _TAG.size):
        tag, value = _TAG.unpack_from(content, offset)
        if tag == _END:
            break
        if tag == _NEEDED:
            names.append(value)
        facts[tag] = value
    if len(names) > _NEEDED_MAX or (names and _STRINGS not in facts):
        raise _Broken("its list of libraries cannot be read")
    for name in names:
        start = _offset(facts[_STRINGS], loads) + name
        text = content[start : content.index(b"\0", start, start + 256)].decode("ascii", "replace")
        if not _SONAME.fullmatch(text):
            raise _Broken(f"it needs {text[:64]!r}")
        yield text


def _offset(address: int, loads: list[tuple[int, int, int]]) -> int:
    for start, at, length in loads:
        if start <= address < start + length:
            return at + address - start
    raise _Broken("its names are in no segment")
