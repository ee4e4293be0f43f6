"""The layers of isolation that a process has, read from outside."""

import os
import re
from pathlib import Path

from attrs import frozen

_FIELD = re.compile(r"^(Seccomp|NoNewPrivs|CapEff|CapBnd|NSpid):\s+(.+)$", re.MULTILINE)
_FILTERED = "2"
_NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")


@frozen
class Layers:
    """The layers of a worker; `shared_namespaces` are those that it shares with its zygote."""

    seccomp: bool
    no_new_privileges: bool
    no_capabilities: bool
    own_processes: bool
    shared_namespaces: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The names of the missing layers."""
        names = {
            "the system call filter (seccomp)": self.seccomp,
            "no_new_privs": self.no_new_privileges,
            "dropped capabilities": self.no_capabilities,
            "a process namespace": self.own_processes,
            f"namespaces of its own ({', '.join(self.shared_namespaces)})": not self.shared_namespaces,
        }
        return [name for name, is_present in names.items() if not is_present]


def observe_layers(pid: int, zygote_pid: int) -> Layers:
    """Return the layers of a living worker of this zygote; raises OSError."""
    return layers_in(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), shared_namespaces(pid, zygote_pid))


def layers_in(status: str, shared: tuple[str, ...] = ()) -> Layers:
    """Return the layers that a text like `/proc/PID/status` shows."""
    fields = {match[1]: match[2] for match in _FIELD.finditer(status)}
    return Layers(
        seccomp=fields.get("Seccomp") == _FILTERED,
        no_new_privileges=fields.get("NoNewPrivs") == "1",
        no_capabilities=not int(fields.get("CapEff", "1"), 16) and not int(fields.get("CapBnd", "1"), 16),
        own_processes=_is_first(fields.get("NSpid", "")),
        shared_namespaces=shared,
    )


def shared_namespaces(pid: int, zygote_pid: int) -> tuple[str, ...]:
    """Return the namespaces that a worker shares with its zygote, as far as this process may read them."""
    try:
        return tuple(name for name in _NAMESPACES if _namespace(pid, name) == _namespace(zygote_pid, name))
    except PermissionError:
        # In a container, root may lack this right. The guest ends a worker that has not entered all namespaces.
        return ()


def _namespace(pid: int, name: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{name}")  # noqa: PTH115  # at every start; pathlib costs more than the call


def _is_first(numbers: str) -> bool:
    """Return whether a process with these ids, from the outer to the inner namespace, is the first of its own one."""
    _, *inner = numbers.split() or [""]
    return bool(inner) and inner[-1] == "1"
