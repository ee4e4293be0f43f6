"""The ports to what connects scripts to the hosts of their rules, and to the rules of single owners."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from domain.audit import Act
from domain.egress.endpoints import NamedEndpoint
from domain.egress.owner_rule import OwnerEgressRule
from domain.egress.rule import EgressRule
from domain.egress.traffic import ExecutionTraffic
from domain.identity import Owner


class Lease(Protocol):
    """The way out of one worker. Outside of an execution, every connection of the worker is reset."""

    @property
    def is_lost(self) -> bool:
        """Whether it will connect no more, and the worker has to end."""
        ...

    async def begin(
        self, execution_id: UUID, rules: Sequence[EgressRule], guarded: Sequence[NamedEndpoint] = ()
    ) -> None:
        """Connect the script of this execution to the hosts of these rules, and to no other; it has not started yet.

        The `guarded` endpoints, which belong to the service, are refused whatever the rules are.
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

    async def admit(
        self, listeners: Sequence[int], hosts: Mapping[str, str], connections_max: int, owner: Owner
    ) -> Lease:
        """Return the lease of a worker that can reach these listeners only. The descriptors are the callee's to close.

        `hosts` has the names by the address on which the worker connects. At most `connections_max` connections are
        open at once. Names that hang for workers of the `owner` take few lookups from those of others. Raises
        RuntimeUnavailable if nothing can be connected now; the error says that nothing ran.
        """
        ...

    async def health(self) -> Mapping[str, object]:
        """Return facts for operators; `status` is "ok", also before the first lease, or "degraded"."""
        ...

    async def close(self) -> None:
        """End every lease."""
        ...


class OwnerRules(Protocol):
    """Stores what scripts of single owners may reach. Every method may raise StorageUnavailable or Overloaded."""

    async def of(self, owner: Owner) -> Sequence[EgressRule]:
        """Return the rules of an owner, sorted by their texts, as all acknowledged writes left them."""
        ...

    async def allow(self, rule: OwnerEgressRule, act: Act) -> bool:
        """Store a rule durably, with the record of the act; return whether it is new.

        A rule that the owner has already keeps its time, and nothing is recorded. Raises TooManyOwnerRules.
        """
        ...

    async def deny(self, owner: Owner, rule: EgressRule, act: Act) -> bool:
        """Remove a rule durably, with the record of the act; return whether the owner had it."""
        ...

    async def page(self, owner: Owner | None, after: OwnerEgressRule | None, size: int) -> Sequence[OwnerEgressRule]:
        """Return at most `size` rules of one owner, or of all owners, by owner and text, behind `after`."""
        ...
