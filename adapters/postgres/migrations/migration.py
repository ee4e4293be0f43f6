"""The steps of the schema, in files and in a database."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files

from attrs import Factory, evolve, field, frozen
from typing_extensions import override

from adapters.postgres.connections.statement import placed
from adapters.postgres.migrations.down import DownMigration, MigrationFailed, parse_down

_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.up\.sql")
_CONCURRENTLY = re.compile(r"^-- concurrently$", re.MULTILINE)
_COLUMN_OPTIONS = re.compile(
    r"^ALTER TABLE \S+(?:,?\s+ALTER COLUMN \w+ SET (?:STORAGE|STATISTICS) \w+)+;$", re.MULTILINE | re.IGNORECASE
)
_STATEMENT = re.compile(r"(?:\$(\w*)\$.*?\$\1\$|[^$]|\$(?!\w*\$))+?;\s*?$", re.MULTILINE | re.DOTALL)
"""What is quoted by dollar signs may have semicolons."""

_WORKS_BESIDE = re.compile(r"^-- works beside (\d{4})$", re.MULTILINE)


@frozen
class Migration:
    """One step of the schema, up and down."""

    version: int
    name: str
    up: str = field(repr=False)
    down: str = field(repr=False)
    schema: str | None = field(default=None, repr=False)
    """The bucket that the step is for; None for `meta`."""

    down_migration: DownMigration = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: parse_down(self.down), takes_self=True)
    )
    """The parsed `down`."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the step, without the file for the way down, which may be corrected later."""
        return hashlib.sha256(self.up.encode()).hexdigest()

    @property
    def works_beside(self) -> int | None:
        """The newest step of the oldest release that works while this step is applied; None if no older one does.

        The `.up.sql` file declares it as `-- works beside NNNN`.
        """
        declared = _WORKS_BESIDE.search(self.up)
        return int(declared[1]) if declared else None

    @property
    def texts(self) -> Sequence[str]:
        """The SQL that runs, in messages. Citus takes one statement in each, so a bucket has as many as statements.

        It refuses options of columns, which BucketColumns sets.
        """
        if self.schema is None:
            return [self.up]
        return [each[0] for each in _STATEMENT.finditer(_COLUMN_OPTIONS.sub("", self.up))]

    @property
    def statements(self) -> Sequence[str]:
        """The statements of a step that runs outside of a transaction, by a line `-- concurrently`; else none.

        Each can be repeated: a run may end between two of them.
        """
        return [each for each in self.up.split(";\n") if each.strip()] if _CONCURRENTLY.search(self.up) else []

    def at(self, schema: str) -> "Migration":
        """Return this step for the schema of a bucket, where all tables are logged: Citus moves no others."""
        up = placed(self.up, schema, {}).replace("CREATE UNLOGGED TABLE", "CREATE TABLE")
        return evolve(self, up=up, down=placed(self.down, schema, {}), schema=schema)

    def as_row(self, applied_at: datetime) -> str:
        """Return the columns of an applied step as a JSON object."""
        facts = {"version": self.version, "name": self.name, "checksum": self.checksum}
        return json.dumps({**facts, "works_beside": self.works_beside, "applied_at": applied_at.isoformat()})

    @override
    def __str__(self) -> str:
        return f"{self.version:04d}_{self.name}" + (f" in {self.schema}" if self.schema else "")


@frozen
class AppliedMigration:
    """A step that was applied to a database; `works_beside` as in Migration."""

    version: int
    name: str
    checksum: str
    applied_at: datetime
    works_beside: int | None = None

    @override
    def __str__(self) -> str:
        return f"{self.version:04d}_{self.name}"


@frozen
class MigrationStatus:
    """A migration by its number and name, like `0001_sessions`, and when it was applied; None if it is pending."""

    name: str
    applied_at: datetime | None
    is_newer: bool = False
    """Whether a newer release has applied it, and this one does not have it."""


class MigrationsDiffer(MigrationFailed):
    """The database has a step beside which this release does not work, or has a step with another content."""


class UnknownMigration(MigrationFailed):
    """There is no step with this version."""


_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?(\w+) ON", re.MULTILINE)
_TABLE = re.compile(r"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?meta\.(\w+) \(", re.MULTILINE)


def indexes_of(steps: Sequence[Migration]) -> Sequence[str]:
    """Return the names of the indexes that these steps create, sorted; each table has a primary key."""
    made = [f"{table}_pkey" for step in steps for table in _TABLE.findall(step.up)]
    return sorted([*made, *(index for step in steps for index in _INDEX.findall(step.up)), "migrations_pkey"])


def load_migrations(package: str = "sql.migrations") -> Sequence[Migration]:
    """Read the steps, in order; raises FileNotFoundError if a step has no down migration."""
    folder = files(package)
    found = [match for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name))]
    return [
        Migration(
            int(match["version"]),
            match["name"],
            (folder / match[0]).read_text(),
            (folder / match[0].replace(".up.", ".down.")).read_text(),
        )
        for match in sorted(found, key=lambda match: match[0])
    ]


@frozen
class SchemaState:
    """The schema of a database beside the steps of this release."""

    pending: Sequence[Migration]
    """Steps of this release that are not applied, in order."""

    differing: Sequence[AppliedMigration]
    """Applied steps of which this release has another content."""

    newer: Sequence[AppliedMigration]
    """Applied steps of newer releases, beside which this release works."""

    unknown: Sequence[AppliedMigration]
    """Other applied steps that this release does not have."""

    _latest: Migration

    @classmethod
    def of(cls, steps: Sequence[Migration], applied: Sequence[AppliedMigration]) -> "SchemaState":
        """Compare the steps of this release with the applied ones."""
        known, latest = {step.version: step for step in steps}, steps[-1]
        taken = {each.version for each in applied}
        foreign = [each for each in applied if each.version not in known]
        return cls(
            pending=[step for step in steps if step.version not in taken],
            differing=[
                each for each in applied if each not in foreign and known[each.version].checksum != each.checksum
            ],
            newer=[each for each in foreign if _works_beside(each, latest)],
            unknown=[each for each in foreign if not _works_beside(each, latest)],
            latest=latest,
        )

    def require_usable(self) -> None:
        """Raise MigrationsDiffer if this release does not work with the schema, pending steps aside."""
        for each in self.unknown:
            raise MigrationsDiffer(
                f"The database has migration {each}, which this release does not have and does not work beside: the "
                f"latest of this release is {self._latest}. Run the release that has it, or migrate down with that one "
                "first."
            )
        for each in self.differing:
            raise MigrationsDiffer(
                f"Migration {each} has changed since it was applied on {each.applied_at.isoformat()}. "
                "Restore its file; a change of the schema needs a migration of its own."
            )

    def require_latest(self) -> None:
        """Raise MigrationsDiffer if a newer release has applied steps, which only that release can revert."""
        self.require_usable()
        if self.newer:
            raise MigrationsDiffer(
                f"The database has migration {self.newer[-1]} of a newer release, and this release cannot revert it. "
                f"Use that release to migrate down to {self._latest.version}."
            )


def _works_beside(each: AppliedMigration, latest: Migration) -> bool:
    return each.works_beside is not None and each.works_beside <= latest.version < each.version
