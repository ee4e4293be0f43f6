"""What a build drops of what a tool has installed, before it is judged."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

_STARTED_BY_PYTHON = (".pth",)
_NAMES_STARTED = frozenset({"sitecustomize", "usercustomize"})
_DROPPED_ANYWHERE = frozenset({"__pycache__", ".bin"})
"""Byte code that a package brings may do otherwise than its source; `.bin` of Node.js has links to programs."""
_DROPPED_AT_TOP = frozenset({"bin", ".lock", "package-lock.json"})


def clean(tree: Path) -> Sequence[str]:
    """Remove what no script imports, and return the names. Links, devices and the like stay, to be refused."""
    dropped = []
    for path in list(_unwanted(tree)):
        dropped.append(str(path.relative_to(tree)))
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return sorted(dropped)


def _unwanted(tree: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(tree):
        is_at_top = Path(where) == tree
        unwanted = {name for name in (*folders, *files) if _is_unwanted(name, is_at_top=is_at_top)}
        yield from (Path(where) / name for name in unwanted)
        folders[:] = [name for name in folders if name not in unwanted]


def _is_unwanted(name: str, *, is_at_top: bool) -> bool:
    if name in _DROPPED_ANYWHERE or name.lower().endswith((*_STARTED_BY_PYTHON, ".pyc", ".pyo")):
        return True
    return is_at_top and (name in _DROPPED_AT_TOP or name.lower().partition(".")[0] in _NAMES_STARTED)
