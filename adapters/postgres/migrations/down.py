"""Migrations down, and the data that they delete."""

import re
from collections.abc import Collection, Mapping, Sequence

from attrs import field, frozen

_SECTION = re.compile(r"^-- (lock|destroys [a-z-]+|statements)$", re.MULTILINE)
_DESTROYS = "destroys "


@frozen
class DownMigration:
    """The sections of a `.down.sql` file.

    Each section begins with a comment on a line of its own. `-- lock` holds the statement that locks the tables whose
    rows are deleted. `-- destroys KIND` holds the query that counts these rows: one row, whose first column is the
    main count. `-- statements` holds the statements that change the schema. A file without sections deletes no data.
    """

    lock: str = field(repr=False)
    counts: Mapping[str, str] = field(repr=False)
    """The query that counts the rows to be deleted, by kind of data."""
    statements: str = field(repr=False)


@frozen
class Destruction:
    """The rows of one kind of data that a step deletes, by name."""

    kind: str
    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        """The counts as a text, such as `37 functions (52 versions, 1 session pin)`."""
        (main, number), *others = self.counts.items()
        beside = ", ".join(_counted(other, name) for name, other in others if other)
        return f"{_counted(number, main)} ({beside})" if beside else _counted(number, main)

    def __bool__(self) -> bool:
        """Whether there are any rows."""
        return any(self.counts.values())


@frozen
class PlannedDown:
    """A step by its name, and the kinds of data of which migrating it down deletes rows."""

    name: str
    losses: Sequence[Destruction]


class MigrationFailed(RuntimeError):
    """A migration cannot be applied or reverted; the text says why, and what to do."""


class DestructionRefused(MigrationFailed):
    """Steps would delete kinds of data that the caller has not allowed."""


def parse_down(text: str) -> DownMigration:
    """Parse a `.down.sql` file; raises ValueError if it has sections, but no `-- statements`."""
    before, *parts = _SECTION.split(text)
    sections = dict(zip(parts[::2], parts[1::2], strict=True)) or {"statements": before}
    if "statements" not in sections:
        raise ValueError("A .down.sql file with sections needs one that is called `-- statements`.")
    counts = {name.removeprefix(_DESTROYS): sections[name] for name in sections if name.startswith(_DESTROYS)}
    return DownMigration(sections.get("lock", ""), counts, sections["statements"])


def require_allowed(
    steps: Sequence[PlannedDown], allowed: Collection[str], reverted: Sequence[PlannedDown] = ()
) -> None:
    """Raise DestructionRefused unless these steps delete only allowed kinds of data.

    `reverted` are the steps that were reverted before, for the message.
    """
    refused = [(step, loss) for step in steps for loss in step.losses if loss.kind not in allowed]
    if not refused:
        return
    lines = [f"{step.name} would delete {loss.text}: add --destroy-{loss.kind} to allow it." for step, loss in refused]
    before = f"Reverted before: {', '.join(step.name for step in reverted)}." if reverted else "Nothing was changed."
    raise DestructionRefused("\n".join(["Migrating down would delete data.", *lines, before]))


def _counted(number: int, name: str) -> str:
    words = name.replace("_", " ")
    return f"{number} {words.removesuffix('s') if number == 1 else words}"
