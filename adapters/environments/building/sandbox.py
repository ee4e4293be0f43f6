"""The sandbox of a build: few files, one writable folder, and a network with the hosts of the index alone."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from adapters.environments.building.index import Destination

BUILD = Path("/build")
RELAY = Path("/relay")
_INSIDE = Path("/inside.py")
_ROOTS = Path("/roots.pem")
_HOSTS = Path("/etc/hosts")
_MEMORY_MAX = 2 * 1024**3
"""Bytes of data of each process of a build."""
_FILES_MAX = 1024
_PRIVILEGED_PORT_MAX = 1023
_FIRST_HOST = 1


@frozen
class BuildFile:
    """A file or folder of the host, and its path in the sandbox."""

    source: Path
    target: Path


@frozen
class BuildStep:
    """A program that a build runs, its variables, and the hosts that it may reach."""

    tool: Sequence[str]
    variables: Mapping[str, str] = field(factory=dict, repr=False)
    destinations: Sequence[Destination] = ()


@frozen
class BuildSandbox:
    """What the sandboxes of builds are made of.

    `python` is the path of an interpreter in the sandbox, which `files` have, with the tool and its libraries. `uid` is
    the build's own on the host; None stands for that of the service.
    """

    bwrap: Path
    python: Path
    files: Sequence[BuildFile]
    uid: int | None = None
    roots: Path | None = None
    file_size_max: int = 1024**3

    def command(self, step: BuildStep, folder: Path, relay: Path) -> list[str]:
        """Return the command line of a sandbox with `folder` as its writable folder; it reads `order` from its input.

        `relay` has the sockets of the destinations and the file `hosts`.
        """
        isolation = ["--unshare-user", "--uid", "0", "--gid", "0", "--unshare-net", "--unshare-ipc", "--unshare-pid"]
        isolation += ["--unshare-uts", "--unshare-cgroup-try", "--die-with-parent", "--new-session"]
        rights = ["--cap-drop", "ALL"]
        if any(each.port <= _PRIVILEGED_PORT_MAX for each in step.destinations):
            rights += ["--cap-add", "CAP_NET_BIND_SERVICE"]  # in the sandbox's own network
        inside = [str(self.python), "-I", "-S", "-B", "-X", "utf8", str(_INSIDE)]
        return [str(self.bwrap), *isolation, *rights, *self._files(folder, relay), "--", *inside]

    def order(self, step: BuildStep) -> bytes:
        """Return what the sandbox reads: variables may have credentials, and command lines are visible to all users."""
        limits = {"DATA": _MEMORY_MAX, "FSIZE": self.file_size_max, "NOFILE": _FILES_MAX, "CORE": 0}
        listeners = list(_listeners(step.destinations))
        order = {"listeners": listeners, "limits": limits, "command": step.tool, "variables": step.variables}
        return json.dumps(order).encode()

    def _files(self, folder: Path, relay: Path) -> Iterator[str]:
        files = [*self.files, BuildFile(Path(__file__).with_name("inside.py"), _INSIDE)]
        if self.roots is not None:
            files.append(BuildFile(self.roots, _ROOTS))
        files += [BuildFile(relay, RELAY), BuildFile(relay / "hosts", _HOSTS)]
        for target, source in {each.target: each.source for each in files}.items():
            yield from ("--ro-bind", str(source), str(target))
        yield from ("--bind", str(folder), str(BUILD), "--dev", "/dev", "--chdir", str(BUILD))
        yield from ("--remount-ro", "/", "--clearenv")
        for name, value in self._variables().items():
            yield from ("--setenv", name, value)

    def _variables(self) -> Mapping[str, str]:
        roots = {} if self.roots is None else dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), str(_ROOTS))
        paths = {"HOME": str(BUILD / "home"), "TMPDIR": str(BUILD / "tmp"), "PATH": "/usr/bin", "LC_ALL": "C.UTF-8"}
        return {**paths, **roots}

    def popen_options(self) -> Mapping[str, object]:
        """Return how the program is started: as the build's uid, within limits, with its output in one pipe."""
        return {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "env": {},
            "cwd": "/",
            "user": self.uid,
            "group": self.uid,
            "extra_groups": None if self.uid is None else [],
            "start_new_session": True,
        }


def hosts_of(destinations: Sequence[Destination]) -> str:
    """Return the text of /etc/hosts: each host has an address of the sandbox's loopback."""
    names = dict.fromkeys(each.host for each in destinations)
    lines = [f"{_address_of(destinations, name)} {name}\n" for name in names]
    return "".join(["127.0.0.1 localhost\n", *lines])


def _listeners(destinations: Sequence[Destination]) -> Iterator[tuple[str, int, str]]:
    for number, each in enumerate(destinations):
        yield _address_of(destinations, each.host), each.port, str(RELAY / str(number))


def _address_of(destinations: Sequence[Destination], host: str) -> str:
    if host in ("localhost", "127.0.0.1"):
        return "127.0.0.1"
    names = list(dict.fromkeys(each.host for each in destinations))
    return f"127.1.0.{names.index(host) + _FIRST_HOST}"
