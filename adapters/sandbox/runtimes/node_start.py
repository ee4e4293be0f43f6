"""Whether workers for Node.js are forks of a zygote.

A fork costs a seventh of a start. Neither Node.js nor V8 promises that it works, so it is the default only where it was
tested.
"""

from collections.abc import Sequence

from adapters.sandbox.options import NodeStart

FORKED_MAJOR = 24
FORKED_MACHINES: Sequence[str] = ("x86_64",)
"""Where forks are the default. A machine is added once `tests.soak --only forks --forks 200000` shows no failure."""

FORKED_MEMORY_MB_MIN = 64
"""With a smaller limit workers execute Node.js. V8 fixes the limit of its heap before the fork, so it would let garbage
fill the memory of a script that holds little."""


def why_executed(start: NodeStart, version: str, machine: str, machines: Sequence[str], *, is_packaged: bool) -> str:
    """Return why workers execute Node.js of this version; empty if they are forks, the default on `machines`."""
    if start is NodeStart.EXEC:
        return "SANDBOX_NODE_START=exec"
    if start is NodeStart.FORK:
        return ""
    if machine not in machines:
        return f"forks of Node.js were not yet tested enough on {machine}; SANDBOX_NODE_START=fork uses them"
    if not is_packaged:
        return "forks were tested with the packaged Node.js only, and NODEJS_PATH names another"
    if not version.startswith(f"v{FORKED_MAJOR}."):
        return f"forks were tested with Node.js {FORKED_MAJOR} only, and this is {version}"
    return ""
