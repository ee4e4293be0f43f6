"""Which shared libraries a program needs, as the loader of the system finds them."""

import re
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

_PROGRAM_INTERPRETER = 3
_ENTRY = struct.Struct("<I4xQ16xQ16x")
_LISTED = re.compile(r"^\s+(?:(?P<name>\S+) => )?(?P<path>/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_TIMEOUT_S = 20


def loader_of(program: Path) -> Path:
    """Return the dynamic loader that a 64-bit little-endian ELF program names; raises ValueError if it names none."""
    with program.open("rb") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{program} is not a 64-bit ELF program")
        (table_at,), (entry_size, entries) = struct.unpack_from("<Q", header, 32), struct.unpack_from("<HH", header, 54)
        if entry_size != _ENTRY.size:
            raise ValueError(
                f"{program} has a program header table with entries of {entry_size} bytes, not {_ENTRY.size}"
            )
        file.seek(table_at)
        for kind, at, size in _ENTRY.iter_unpack(file.read(entry_size * entries)):
            if kind == _PROGRAM_INTERPRETER:
                file.seek(at)
                return Path(file.read(size).rstrip(b"\0").decode())
    raise ValueError(f"{program} names no loader")


def libraries_of(program: Path, modules: Sequence[Path] = ()) -> list[Path]:
    """Return the loader and every library that the program and its extension modules load.

    Libraries that are not found are left out: an import of a module that needs one fails. Raises OSError and
    subprocess.SubprocessError if the loader does not run.
    """
    loader = loader_of(program)
    preload = ":".join(str(module) for module in modules if ":" not in str(module) and " " not in str(module))
    listing = subprocess.run(  # noqa: S603  # the loader of the system, in its listing mode
        [loader, "--list", program],
        env={"LD_PRELOAD": preload} if preload else {},
        capture_output=True,
        text=True,
        check=True,
        timeout=_TIMEOUT_S,
    ).stdout
    found = {Path(match["path"]) for match in _LISTED.finditer(listing)}
    return sorted({loader, *found} - set(modules))
