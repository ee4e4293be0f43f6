"""The schema of a whole database: `meta`, and the buckets of one that is distributed."""

from collections.abc import Collection, Sequence

import structlog
from attrs import define

from adapters.postgres.migrations.buckets import BucketMigrations, BucketSchema, BucketStatus
from adapters.postgres.migrations.down import MigrationFailed, PlannedDown
from adapters.postgres.migrations.migration import Migration, MigrationStatus
from adapters.postgres.migrations.runner import MigrationRunner
from domain.errors import StorageUnavailable
from domain.inspection import NodeFacts

_log = structlog.get_logger(__name__)


class DatabaseDistributed(MigrationFailed):
    """A database with buckets cannot go back to a migration."""


class NodesAway(MigrationFailed):
    """Steps are pending, and Citus carries a step of any bucket to all nodes, of which some are away."""

    def __init__(self, away: Sequence[NodeFacts], pending: Sequence[str], applied: Sequence[str]) -> None:
        nodes = " and ".join(f"{node.address} ({node.reason})" for node in away)
        done = f"Applied {', '.join(applied)}. " if applied else "Nothing was changed. "
        super().__init__(
            f"Migrations are pending ({', '.join(pending)}), and the node {nodes} does not respond to the coordinator. "
            f"Citus carries each migration of a bucket to all nodes, so none can be applied. {done}Start the node, or "
            "let its standby take over, and run `pglambda migrate up` again. Controllers of the release before serve "
            "until then."
        )


@define(eq=False)
class DatabaseMigrations:
    """Applies steps to `meta` first and then to each bucket; every method may raise what MigrationRunner does."""

    home: MigrationRunner
    buckets: BucketMigrations

    async def up(self, to: int | None = None, *, dry_run: bool = False) -> Sequence[Migration]:
        """Apply the pending steps up to version `to` (default: all), or none in a dry run; return them in order.

        Raises NodesAway if there are any while a node of a distributed database is away.
        """
        known = await self.buckets.known()
        away = await self.buckets.away() if known else []
        if away:
            return await self._without(away, to)
        steps = list(await self.home.up(to, dry_run=dry_run))
        for bucket in known:
            steps += await self._up(bucket, to, steps, dry_run=dry_run)
        return steps

    async def _up(
        self, bucket: BucketSchema, to: int | None, before: Sequence[Migration], *, dry_run: bool
    ) -> Sequence[Migration]:
        """Apply the steps of a bucket; a node may have fallen away since."""
        try:
            if not dry_run:
                return await self.buckets.up(bucket.schema, to)
            return [step for step in await self.buckets.pending(bucket.schema) if to is None or step.version <= to]
        except StorageUnavailable as error:
            away = await self.buckets.away()
            if not away:
                raise
            raise NodesAway(away, [f"those of {bucket.schema}"], [str(step) for step in before]) from error

    async def _without(self, away: Sequence[NodeFacts], to: int | None) -> Sequence[Migration]:
        """Return no steps if none is known to be pending; the buckets of nodes that are away are not read."""
        pending = [str(step) for step in await self.home.up(to, dry_run=True)]
        for state in await self.buckets.status(to):
            pending += state.pending
        if pending:
            raise NodesAway(away, pending, [])
        _log.warning("nodes_away", nodes=[node.address for node in away], reasons=[node.reason for node in away])
        return []

    async def down(
        self, to: int | None = None, *, destroy: Collection[str] = (), dry_run: bool = False
    ) -> Sequence[PlannedDown]:
        """Revert steps as MigrationRunner does; raises DatabaseDistributed if there are buckets."""
        known = await self.buckets.known()
        if known:
            raise DatabaseDistributed(
                f"The database has {len(known)} buckets, and migrations of a distributed database are not reverted: "
                "controllers of older releases would not find the sessions in them. Nothing was changed. To go "
                "back to a release without buckets, restore a backup from before the division."
            )
        return await self.home.down(to, destroy=destroy, dry_run=dry_run)

    async def status(self) -> Sequence[MigrationStatus]:
        """Return all steps of `meta`, in order, and when each was applied; then those of newer releases."""
        return await self.home.status()

    async def bucket_status(self) -> Sequence[BucketStatus]:
        """Return the buckets, each with the steps that it lacks."""
        return await self.buckets.status()

    async def node_facts(self) -> Sequence[NodeFacts]:
        """Return the nodes; none of a plain database."""
        return await self.buckets.facts_of_nodes() if await self.buckets.known() else []

    async def pending(self) -> Sequence[Migration]:
        """Return the pending steps of `meta`, in order; none if the database is ready for this release."""
        return await self.home.pending()
