"""Which layers of isolation a process really has, seen from outside."""

import re
from pathlib import Path

from attrs import frozen

_FIELD = re.compile(r"^(Seccomp|NoNewPrivs|CapEff|CapBnd|NSpid):\s+(.+)$", re.MULTILINE)
_FILTERED = "2"


@frozen
class Layers:
    """What the kernel says of a worker."""

    seccomp: bool
    no_new_privileges: bool
    no_capabilities: bool
    own_processes: bool

    @property
    def missing(self) -> list[str]:
        """Names of the layers that are not there."""
        names = {
            "the system call filter (seccomp)": self.seccomp,
            "no_new_privs": self.no_new_privileges,
            "dropped capabilities": self.no_capabilities,
            "a process namespace": self.own_processes,
        }
        return [name for name, is_there in names.items() if not is_there]


def observe_layers(pid: int) -> Layers:
    """Return the layers of a living process; raises OSError."""
    return layers_in(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))


def layers_in(status: str) -> Layers:
    """Return the layers that a text like `/proc/PID/status` tells of."""
    told = {match[1]: match[2] for match in _FIELD.finditer(status)}
    return Layers(
        seccomp=told.get("Seccomp") == _FILTERED,
        no_new_privileges=told.get("NoNewPrivs") == "1",
        no_capabilities=not int(told.get("CapEff", "1"), 16) and not int(told.get("CapBnd", "1"), 16),
        own_processes=len(told.get("NSpid", "").split()) > 1,
    )
