"""Starts the egress process in a sandbox: with the host's network, and with few files, rights and system calls."""

import contextlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import field, frozen

_APP = Path("/app")
_PACKAGES = ("adapters", "domain", "attr", "attrs", "msgspec", "typing_extensions")
_NAMES = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf", "/etc/ld.so.cache")
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_START = "import sys; sys.path.insert(0, sys.argv[1]); from adapters.egress.process import main; main(int(sys.argv[2]))"
_RESOLVER = {"RES_OPTIONS": "timeout:1 attempts:2"}
"""Nobody waits longer than 2 s for a name, so a lookup that hangs must not keep its thread for 10 s and more."""
_WAIT_THEN_RUN = 'read -r _ && exec "$@" < /dev/null'


@frozen
class EgressSandbox:
    """Starts the process. `uid` is its own on the host; None stands for that of the service.

    `admit` puts a process into the control group of the sandbox before it starts anything. `names` are the files by
    which names are resolved.
    """

    bwrap: Callable[[], Path]
    uid: int | None = None
    admit: Callable[[int], None] = lambda _pid: None
    names: Sequence[tuple[Path, str]] = field(factory=lambda: [(Path(name), name) for name in _NAMES])

    def __call__(self, control: int) -> "subprocess.Popen[bytes]":
        """Start it; raises OSError."""
        command = ["/bin/sh", "-c", _WAIT_THEN_RUN, "sh", *self.command(control)]
        waiting, go = os.pipe()
        with contextlib.ExitStack() as closing:
            closing.callback(os.close, waiting)
            closing.callback(os.close, go)
            program = subprocess.Popen(  # noqa: S603  # our own command line
                command,
                stdin=waiting,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_RESOLVER,
                cwd="/",
                user=self.uid,
                group=self.uid,
                extra_groups=None if self.uid is None else [],
                pass_fds=[control],
                start_new_session=True,
            )
            try:
                self.admit(program.pid)
            except OSError:
                program.kill()
                program.wait()
                raise
            os.write(go, b"\n")
        return program

    def command(self, control: int) -> list[str]:
        """Return the command line of a process with this end of the control socket."""
        python = Path(sys.executable).resolve()
        isolation = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
        life = ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "egress"]
        inside = [str(python), "-I", "-S", "-B", "-X", "utf8", "-c", _START, str(_APP), str(control)]
        return [str(self.bwrap()), *isolation, *life, *self._files(python), "--", *inside]

    def _files(self, python: Path) -> Iterator[str]:
        for folder in _SYSTEM:
            yield from ("--ro-bind-try", folder, folder)
        for path in (python, Path(sysconfig.get_path("stdlib")), Path(sys.base_prefix) / "lib"):
            yield from ("--ro-bind-try", str(path), str(path))
        for name in _PACKAGES:
            path = _path_of(name)
            yield from ("--ro-bind", str(path), str(_APP / path.name))
        for source, target in self.names:
            # A link may lead to a folder that the sandbox has not.
            yield from ("--ro-bind-try", str(source.resolve()), target)
        yield from ("--dev", "/dev", "--remount-ro", "/")


def _path_of(name: str) -> Path:
    """Return the file or folder of a package."""
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"the package {name} is installed with the service"
    assert spec.origin is not None, f"the package {name} has files"
    path = Path(spec.origin)
    return path.parent if path.name == "__init__.py" else path
