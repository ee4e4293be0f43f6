"""The schema of a whole database: `meta`, and the buckets of one that is distributed."""

from collections.abc import Collection, Sequence

from attrs import define

from adapters.postgres.migrations.buckets import BucketMigrations, BucketStatus
from adapters.postgres.migrations.down import MigrationFailed, PlannedDown
from adapters.postgres.migrations.migration import Migration, MigrationStatus
from adapters.postgres.migrations.runner import MigrationRunner


class DatabaseDistributed(MigrationFailed):
    """A database with buckets cannot go back to a migration."""


@define(eq=False)
class DatabaseMigrations:
    """Applies steps to `meta` first and then to each bucket; every method may raise what MigrationRunner does."""

    home: MigrationRunner
    buckets: BucketMigrations

    async def up(self, to: int | None = None, *, dry_run: bool = False) -> Sequence[Migration]:
        """Apply the pending steps up to version `to` (default: all), or none in a dry run; return them in order."""
        steps = list(await self.home.up(to, dry_run=dry_run))
        for bucket in await self.buckets.known():
            if dry_run:
                pending = await self.buckets.pending(bucket.schema)
                steps += [step for step in pending if to is None or step.version <= to]
            else:
                steps += await self.buckets.up(bucket.schema, to)
        return steps

    async def down(
        self, to: int | None = None, *, destroy: Collection[str] = (), dry_run: bool = False
    ) -> Sequence[PlannedDown]:
        """Revert steps as MigrationRunner does; raises DatabaseDistributed if there are buckets."""
        known = await self.buckets.known()
        if known:
            raise DatabaseDistributed(
                f"The database has {len(known)} buckets, and migrations of a distributed database are not reverted: "
                "controllers of older releases would not find the sessions in them. Nothing was changed. "
                "docs/scale.md says how buckets are drained."
            )
        return await self.home.down(to, destroy=destroy, dry_run=dry_run)

    async def status(self) -> Sequence[MigrationStatus]:
        """Return all steps of `meta`, in order, and when each was applied; then those of newer releases."""
        return await self.home.status()

    async def bucket_status(self) -> Sequence[BucketStatus]:
        """Return the buckets, each with the steps that it lacks."""
        return await self.buckets.status()

    async def pending(self) -> Sequence[Migration]:
        """Return the pending steps of `meta`, in order; none if the database is ready for this release."""
        return await self.home.pending()
