"""Whether workers for Node.js are forks of a zygote.

A fork costs a seventh of a start. Neither Node.js nor V8 promises that it works, so it is the default only where it was
tested.
"""

from adapters.sandbox.options import NodeStart

FORKED_MAJOR = 24
FORKED_MACHINES = ("x86_64",)
"""Where forks are the default: 200,000 were seen without a failure (`tests.soak --only forks --forks 200000`)."""


def why_executed(start: NodeStart, version: str, machine: str, *, is_packaged: bool) -> str:
    """Return why workers execute Node.js of this version; empty if they are forks."""
    if start is NodeStart.EXEC:
        return "SANDBOX_NODE_START=exec"
    if start is NodeStart.FORK:
        return ""
    if machine not in FORKED_MACHINES:
        return f"forks of Node.js were not tested on {machine}"
    if not is_packaged:
        return "forks were tested with the packaged Node.js only, and NODEJS_PATH names another"
    if not version.startswith(f"v{FORKED_MAJOR}."):
        return f"forks were tested with Node.js {FORKED_MAJOR} only, and this is {version}"
    return ""
