"""The port to what connects scripts to the hosts of their rules."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from domain.egress.rule import EgressRule
from domain.egress.traffic import ExecutionTraffic


class Lease(Protocol):
    """The way out of one worker. Outside of an execution, every connection of the worker is reset."""

    @property
    def is_lost(self) -> bool:
        """Whether it will connect no more, and the worker has to end."""
        ...

    async def begin(self, execution_id: UUID, rules: Sequence[EgressRule]) -> None:
        """Connect the script of this execution to the hosts of these rules, and to no other; it has not started yet.

        Connections that the worker opened before are reset. Raises RuntimeUnavailable if the lease is lost.
        """
        ...

    async def end(self) -> ExecutionTraffic:
        """Close the connections of the execution; return what they used, LOST if the lease is lost."""
        ...

    def close(self) -> None:
        """Connect nothing more, after the end of the present execution; also valid again.

        Call it once the worker has left the process table.
        """
        ...


class WayOut(Protocol):
    """Connects workers to hosts."""

    async def admit(self, listeners: Sequence[int], hosts: Mapping[str, str], connections_max: int) -> Lease:
        """Return the lease of a worker that can reach these listeners only. The descriptors are the callee's to close.

        `hosts` has the names by the address on which the worker connects. At most `connections_max` connections are
        open at once. Raises RuntimeUnavailable if nothing can be connected now; the error says that nothing ran.
        """
        ...

    async def health(self) -> Mapping[str, object]:
        """Return facts for operators; `status` is "ok", also before the first lease, or "degraded"."""
        ...

    async def close(self) -> None:
        """End every lease."""
        ...
