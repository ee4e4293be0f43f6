"""Reads how much waits in the queue of executions, and for how long."""

from collections.abc import Mapping

from attrs import define, field, frozen, validators

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.administration import CleanupStatements
from domain.cleanup import QueueBacklog
from domain.clock import Clock
from domain.scripts.language import Language


@frozen
class BacklogBounds:
    """What is read of each language: entries that are counted, owners, and entries of each owner."""

    counted_max: int = field(default=100_000, validator=validators.ge(1))
    owners_max: int = field(default=1000, validator=validators.ge(1))
    examined_max: int = field(default=20, validator=validators.ge(1))


@define(eq=False)
class BacklogReader:
    """Reads the backlog of all owners in each language, in a time that does not grow with the queue."""

    _gateway: Gateway
    _statements: CleanupStatements
    _clock: Clock
    _bounds: BacklogBounds = field(factory=BacklogBounds)

    async def read(self) -> Mapping[Language, QueueBacklog]:
        """Return the backlog of each language; raises StorageUnavailable or Overloaded."""
        named = {
            "languages": codec.texts(Language),
            "now": self._clock.now(),
            "owners_max": self._bounds.owners_max,
            "examined_max": self._bounds.examined_max,
            "counted_max": self._bounds.counted_max,
        }
        found = await self._gateway.fetch(self._statements.select_queue_backlogs, named)
        return {Language(language): QueueBacklog(*facts) for language, *facts in found}
