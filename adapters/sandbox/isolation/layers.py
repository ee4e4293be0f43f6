"""Which layers of isolation a process really has, seen from outside."""

import os
import re
from pathlib import Path

from attrs import frozen

_FIELD = re.compile(r"^(Seccomp|NoNewPrivs|CapEff|CapBnd|NSpid):\s+(.+)$", re.MULTILINE)
_FILTERED = "2"
_NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")


@frozen
class Layers:
    """What the kernel says of a worker; `shared_namespaces` are those that are not its own."""

    seccomp: bool
    no_new_privileges: bool
    no_capabilities: bool
    own_processes: bool
    shared_namespaces: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Names of the layers that are not there."""
        names = {
            "the system call filter (seccomp)": self.seccomp,
            "no_new_privs": self.no_new_privileges,
            "dropped capabilities": self.no_capabilities,
            "a process namespace": self.own_processes,
            f"namespaces of its own ({', '.join(self.shared_namespaces)})": not self.shared_namespaces,
        }
        return [name for name, is_there in names.items() if not is_there]


def observe_layers(pid: int, keeper_pid: int) -> Layers:
    """Return the layers of a living worker, in whose room the keeper is; raises OSError."""
    return layers_in(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), shared_namespaces(pid, keeper_pid))


def layers_in(status: str, shared: tuple[str, ...] = ()) -> Layers:
    """Return the layers that a text like `/proc/PID/status` tells of."""
    told = {match[1]: match[2] for match in _FIELD.finditer(status)}
    return Layers(
        seccomp=told.get("Seccomp") == _FILTERED,
        no_new_privileges=told.get("NoNewPrivs") == "1",
        no_capabilities=not int(told.get("CapEff", "1"), 16) and not int(told.get("CapBnd", "1"), 16),
        own_processes=_is_first(told.get("NSpid", "")),
        shared_namespaces=shared,
    )


def shared_namespaces(pid: int, keeper_pid: int) -> tuple[str, ...]:
    """Return the namespaces that a worker shares with its keeper, as far as this process may see them."""
    try:
        return tuple(name for name in _NAMESPACES if _namespace(pid, name) == _namespace(keeper_pid, name))
    except PermissionError:
        # In a container root may lack the right; a worker has all of them, or has not come so far (keeper.py).
        return ()


def _namespace(pid: int, name: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{name}")  # noqa: PTH115  # at every start; pathlib costs more than the call


def _is_first(numbers: str) -> bool:
    """Tell whether a process that has these numbers, in ever deeper namespaces, is the first of one of its own."""
    _, *inner = numbers.split() or [""]
    return bool(inner) and inner[-1] == "1"
