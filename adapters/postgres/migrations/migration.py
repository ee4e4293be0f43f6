"""The steps of the schema, in files and in a database."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files

from attrs import Factory, field, frozen
from typing_extensions import override

from adapters.postgres.migrations.down import DownMigration, MigrationFailed, parse_down

_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.up\.sql")


@frozen
class Migration:
    """One step of the schema, up and down."""

    version: int
    name: str
    up: str = field(repr=False)
    down: str = field(repr=False)
    down_migration: DownMigration = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: parse_down(self.down), takes_self=True)
    )
    """The parsed `down`."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the step, without the file for the way down, which may be corrected later."""
        return hashlib.sha256(self.up.encode()).hexdigest()

    @override
    def __str__(self) -> str:
        return f"{self.version:04d}_{self.name}"


@frozen
class AppliedMigration:
    """A step that was applied to a database."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


@frozen
class MigrationStatus:
    """A migration by its number and name, like `0001_sessions`, and when it was applied; None if it is pending."""

    name: str
    applied_at: datetime | None


class MigrationsDiffer(MigrationFailed):
    """The database has a step that this release does not have, or has with another content."""


class UnknownMigration(MigrationFailed):
    """There is no step with this version."""


_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX (\w+) ON", re.MULTILINE)
_TABLE = re.compile(r"^CREATE TABLE meta\.(\w+) \(", re.MULTILINE)


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


def require_same(steps: Sequence[Migration], applied: Sequence[AppliedMigration]) -> None:
    """Raise MigrationsDiffer unless the database has only steps of this release, with the same content."""
    known = {step.version: step for step in steps}
    for each in applied:
        step = known.get(each.version)
        if step is None:
            raise MigrationsDiffer(
                f"The database has migration {each.version:04d}_{each.name}, which this release does not have. "
                "Run the release that has it, or migrate down with that one first."
            )
        if step.checksum != each.checksum:
            raise MigrationsDiffer(
                f"Migration {step} has changed since it was applied on {each.applied_at.isoformat()}. "
                "Restore its file; a change of the schema needs a migration of its own."
            )
