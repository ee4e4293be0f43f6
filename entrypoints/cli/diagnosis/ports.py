"""What an examination needs from outside: looks at a database and at a machine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from entrypoints.cli.diagnosis.facts import (
    AccessFacts,
    ClockFacts,
    ConnectionFacts,
    HostFacts,
    IndexFacts,
    MissingRight,
    ReplicationFacts,
    RuntimeHostFacts,
    SandboxFacts,
    SchemaFacts,
    ServerFacts,
    StoredFacts,
    TableFacts,
)


class DatabaseExamination(Protocol):
    """Looks at one database, over one connection; each look ends within seconds, and may raise Unseen."""

    async def connection(self) -> ConnectionFacts:
        """Return where the connection leads."""
        ...

    async def server(self) -> ServerFacts:
        """Return how the server is."""
        ...

    async def missing_rights(self) -> Sequence[MissingRight]:
        """Return what this role may not do with the schema, and has to."""
        ...

    async def schema(self) -> SchemaFacts:
        """Return which migrations are taken."""
        ...

    async def indexes(self) -> IndexFacts:
        """Return which indexes there are, and which there should be by the migrations that are taken."""
        ...

    async def tables(self) -> Sequence[TableFacts]:
        """Return the statistics of the tables."""
        ...

    async def oldest_transaction(self) -> datetime | None:
        """Return since when the oldest transaction of this database is open, as far as this role may see."""
        ...

    async def clock(self) -> ClockFacts:
        """Measure the database's clock."""
        ...

    async def replication(self) -> ReplicationFacts:
        """Return the standbys."""
        ...

    async def access(self, counted_max: int) -> AccessFacts:
        """Return whose sessions there are, counted up to a bound, and whether there are keys."""
        ...

    async def stored(self) -> StoredFacts:
        """Return how much is stored."""
        ...


class HostExamination(Protocol):
    """Looks at this machine, and at those that run scripts for it; each look may raise Unseen."""

    async def sandbox(self) -> SandboxFacts | None:
        """Try the sandbox of this host; None when every language runs elsewhere."""
        ...

    async def runtime_hosts(self) -> Sequence[RuntimeHostFacts]:
        """Ask each runtime host how it is."""
        ...

    async def host(self) -> HostFacts:
        """Return the room that this machine has."""
        ...
