"""Snapshots of the processes of a sandbox."""

from collections.abc import Sequence

from attrs import frozen

from adapters.sandbox.isolation.control_group import ControlGroup


@frozen
class ZygoteSnapshot:
    """A zygote at an instant: its process ids, and its numbers of starts, living workers and open orders."""

    pid: int | None
    launcher_pid: int
    started: int
    workers: int
    orders: int


@frozen
class SandboxSnapshot:
    """The processes of a sandbox at an instant. A process without a known id is None."""

    workers: Sequence[int | None]
    idle_workers: Sequence[int | None]
    """Warm workers without an execution."""
    active_idle_workers: Sequence[int | None]
    """Those of them with background activity."""
    zygotes: Sequence[ZygoteSnapshot]
    group: ControlGroup | None
