"""Objects of the host that only the sandbox protects: an attack that reaches one has succeeded."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import define, field

_SECRET = "canary"  # noqa: S105  # the text that attacks try to read
_VARIABLE = "PGLAMBDA_CANARY"


@define(eq=False)
class Canaries:
    """A file and a folder open to every user, listening sockets, a process of the workers' uid, a descriptor."""

    uid: int | None
    """The workers' uid on the host; None if it is the service's own."""
    mark: str = field(factory=lambda: f"canary-{secrets.token_hex(4)}")
    _folder: Path = field(init=False)
    _closing: contextlib.ExitStack = field(factory=contextlib.ExitStack, init=False)
    _process: "subprocess.Popen[bytes]" = field(init=False)
    _listeners: Mapping[str, socket.socket] = field(init=False)

    def open(self) -> None:
        """Create everything; raises OSError."""
        with contextlib.ExitStack() as closing:
            self._folder = Path(tempfile.mkdtemp(prefix="pglambda-canary-"))
            closing.callback(shutil.rmtree, self._folder, ignore_errors=True)
            # Open to every user on purpose: only the sandbox protects it.
            self._folder.chmod(0o777)
            self._file.write_text(_SECRET, encoding="utf-8")
            closing.callback(os.close, _inheritable(self._file))
            closing.callback(os.environ.pop, _VARIABLE, None)
            os.environ[_VARIABLE] = _SECRET
            self._listeners = {name: closing.enter_context(each) for name, each in self._listen()}
            self._socket.chmod(0o777)
            self._process = self._start()
            closing.callback(self._end)
            self._closing = closing.pop_all()

    def close(self) -> None:
        """Remove everything."""
        self._closing.close()

    def params(self) -> Mapping[str, object]:
        """Return the addresses of everything, for the scripts."""
        return {
            "file": str(self._file),
            "folder": str(self._folder),
            "port": self._listeners["TCP port"].getsockname()[1],
            "udp_port": self._listeners["UDP port"].getsockname()[1],
            "address": self._listeners["TCP port"].getsockname()[0] if not _addresses() else _addresses()[0],
            "socket": str(self._socket),
            "abstract": self.mark,
            "pid": self._process.pid,
            "hostname": socket.gethostname(),
            "mark": self.mark,
        }

    def harm(self) -> str | None:
        """Return what has been done to any of it since the last call, and repair it."""
        found = next(self._harms(), None)
        if self._process.poll() is not None:
            self._process = self._start()
        return found

    def is_mark_alive(self) -> bool:
        """Return whether a process or thread on this host has the mark as its name."""
        return any(name == self.mark for name in _names_of_threads())

    def _harms(self) -> Iterator[str]:
        if self._process.poll() is not None:
            yield "a process of the host was ended"
        for name, listener in self._listeners.items():
            if _was_reached(listener):
                yield f"a connection or message came in on the host's {name}"
        expected = {self._file.name, self._socket.name}
        if {path.name for path in self._folder.iterdir()} != expected:
            for path in self._folder.iterdir():
                if path.name not in expected:
                    path.unlink()
            yield "a folder of the host was changed"
        elif self._file.read_text(encoding="utf-8") != _SECRET:
            yield "a file of the host was changed"

    def _listen(self) -> Iterator[tuple[str, socket.socket]]:
        # On every address, like a service without a firewall.
        yield "TCP port", _bound(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0))  # noqa: S104
        yield "UDP port", _bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        yield "Unix socket", _bound(socket.AF_UNIX, socket.SOCK_STREAM, str(self._socket))
        yield "abstract socket", _bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.mark}")

    def _start(self) -> "subprocess.Popen[bytes]":
        program = shutil.which("sleep", path="/usr/bin:/bin")
        return subprocess.Popen(  # noqa: S603  # a process that does nothing
            [program or "/bin/sleep", "3600"], env={}, user=self.uid, stdin=subprocess.DEVNULL
        )

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def _file(self) -> Path:
        return self._folder / "file"

    @property
    def _socket(self) -> Path:
        return self._folder / "socket"


def _inheritable(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    return descriptor


def _bound(family: int, kind: int, address: tuple[str, int] | str) -> socket.socket:
    bound = socket.socket(family, kind)
    bound.bind(address)
    bound.setblocking(False)
    if kind == socket.SOCK_STREAM:
        bound.listen()
    return bound


def _was_reached(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _names_of_threads() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        # Processes and threads come and go meanwhile.
        with contextlib.suppress(OSError):
            for thread in (process / "task").iterdir():
                name = (thread / "comm").read_bytes()
                yield name.decode(errors="replace").rstrip("\n")


def _addresses() -> list[str]:
    """Return the addresses of the host's name, loopback ones last."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError:
        found = {"127.0.0.1"}
    return sorted(found, key=lambda address: address.startswith("127."))
