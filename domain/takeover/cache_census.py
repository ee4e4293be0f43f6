"""What the Redis of the origin has beside its table, counted key by key."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from hashlib import md5

from attrs import define, evolve, field, frozen

from domain.takeover.cached import Disagreement, disagreements, read_cached
from domain.takeover.source_session import SourceSession


@frozen
class CachedRow:
    """What a key is compared with: columns of its row, with the MD5 of the script in the place of it."""

    language_title: str
    expires_at: datetime | None
    execution_count: int | None
    script_digest: str | None


@define
class CacheCensus:
    """Counts keys. `without_row` are live sessions that have a key alone, `unreadable` are values of no sessions."""

    now: datetime
    keys: int = 0
    without_row: int = 0
    unreadable: int = 0
    differing: Counter[Disagreement] = field(factory=Counter)

    def add(self, values: Mapping[str, str], rows: Mapping[str, CachedRow]) -> None:
        """Count a page of keys: the values by id, and the rows that have these ids."""
        self.keys += len(values)
        for request_id, text in values.items():
            found, row = read_cached(text), rows.get(request_id)
            if found is None:
                self.unreadable += 1
            elif row is None:
                self.without_row += found.expires_at is not None and found.expires_at > self.now
            else:
                self.differing.update(disagreements(_as_row(row, found), found))


def _as_row(row: CachedRow, cached: SourceSession) -> SourceSession:
    """Return the session as its row has it, with the script of the key if it is the same."""
    script = cached.script_content
    digest = None if script is None else md5(script.encode(), usedforsecurity=False).hexdigest()
    return evolve(
        cached,
        language_title=row.language_title,
        expires_at=row.expires_at,
        execution_count=row.execution_count,
        script_content=script if digest == row.script_digest else None if script is not None else "",
    )
