"""The steps of the schema, in files and in a database."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files

from attrs import Factory, field, frozen
from typing_extensions import override

from adapters.postgres.migrations.down import DownMigration, MigrationFailed, parse_way_back

_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.up\.sql")


@frozen
class Migration:
    """One step of the schema and its way back."""

    version: int
    name: str
    up: str = field(repr=False)
    down: str = field(repr=False)
    way_back: DownMigration = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: parse_way_back(self.down), takes_self=True)
    )
    """The parsed `down`."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the step, without its way back, which may be corrected later."""
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


class StepForbidden(MigrationFailed):
    """The role or the server may not apply a step; the text has the server's reason and advice."""


class UnsupportedServer(MigrationFailed):
    """The server is too old for the statements, or its encoding cannot hold every script."""


_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX (\w+) ON", re.MULTILINE)
_TABLE = re.compile(r"^CREATE TABLE meta\.(\w+) \(", re.MULTILINE)


def indexes_of(steps: Sequence[Migration]) -> Sequence[str]:
    """Return the names of the indexes that these steps create, sorted; each table has a primary key."""
    made = [f"{table}_pkey" for step in steps for table in _TABLE.findall(step.up)]
    return sorted([*made, *(index for step in steps for index in _INDEX.findall(step.up)), "migrations_pkey"])


def load_migrations(package: str = "sql.migrations") -> Sequence[Migration]:
    """Read the steps, in order; raises FileNotFoundError if a step has no way back."""
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
    for taken in applied:
        step = known.get(taken.version)
        if step is None:
            raise MigrationsDiffer(
                f"The database has taken migration {taken.version:04d}_{taken.name}, which this release does not have. "
                "Run the release that has it, or migrate down with that one first."
            )
        if step.checksum != taken.checksum:
            raise MigrationsDiffer(
                f"Migration {step} has changed since it was applied on {taken.applied_at.isoformat()}. "
                "Restore its file; a change of the schema needs a migration of its own."
            )
