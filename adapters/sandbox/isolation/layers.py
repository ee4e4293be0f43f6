"""The layers of isolation that a process has, read from outside."""

import os
import re
from functools import cache
from pathlib import Path

from attrs import frozen

_FIELD = re.compile(r"^(Seccomp|Seccomp_filters|NoNewPrivs|CapEff|CapBnd|NSpid):\s+(.+)$", re.MULTILINE)
_FILTERED = "2"
_FILTERS = 2
"""The filters of a worker: the one that it inherits from its zygote, and its own."""
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
            "the system call filters (seccomp)": self.seccomp,
            "no_new_privs": self.no_new_privileges,
            "dropped capabilities": self.no_capabilities,
            "a process namespace": self.own_processes,
            f"namespaces of its own ({', '.join(self.shared_namespaces)})": not self.shared_namespaces,
        }
        return [name for name, is_present in names.items() if not is_present]


def observe_layers(pid: int, zygote_pid: int) -> Layers:
    """Return the layers of a living worker of this zygote; raises OSError."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return layers_in(status, shared_namespaces(pid, zygote_pid), _filters_of_the_service())


def layers_in(status: str, shared: tuple[str, ...] = (), filters_before: int = 0) -> Layers:
    """Return the layers that a text like `/proc/PID/status` shows.

    `filters_before` is the number of filters that the service has itself, as in most containers.
    """
    fields = _fields(status)
    # Kernels before Linux 5.9 do not show the number.
    filters = int(fields.get("Seccomp_filters", _FILTERS + filters_before))
    return Layers(
        seccomp=fields.get("Seccomp") == _FILTERED and filters >= _FILTERS + filters_before,
        no_new_privileges=fields.get("NoNewPrivs") == "1",
        no_capabilities=not int(fields.get("CapEff", "1"), 16) and not int(fields.get("CapBnd", "1"), 16),
        own_processes=_is_first(fields.get("NSpid", "")),
        shared_namespaces=shared,
    )


@cache
def _filters_of_the_service() -> int:
    return int(_fields(Path("/proc/self/status").read_text(encoding="utf-8")).get("Seccomp_filters", "0"))


def _fields(status: str) -> dict[str, str]:
    return {match[1]: match[2] for match in _FIELD.finditer(status)}


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
