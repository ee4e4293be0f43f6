"""What the Redis of the origin has beside its table, counted key by key."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from attrs import define, field

from domain.takeover.cached import Disagreement, disagreements, read_cached
from domain.takeover.source_session import SourceSession


@define
class CacheCensus:
    """Counts keys.

    `without_row` are live sessions that have a key alone, and `ended` those that have expired. `hidden` are live
    sessions whose rows a takeover hides: the origin serves them all the same. `unreadable` are values of no sessions.
    The keys of a dump are those of its time. `are_limited` is whether there is a key with a time to live, as the origin
    writes them.
    """

    now: datetime
    is_dump: bool = False
    keys: int = 0
    without_row: int = 0
    ended: int = 0
    hidden: int = 0
    unreadable: int = 0
    are_limited: bool = False
    differing: Counter[Disagreement] = field(factory=Counter)

    def add(
        self, values: Mapping[str, str], rows: Mapping[str, SourceSession], hidden: Collection[str]
    ) -> Iterator[Mapping[str, object]]:
        """Count a page of keys, and yield facts about each one that is not as its row.

        `values` and `rows` are by id, and `hidden` are the ids whose rows a takeover hides.
        """
        self.keys += len(values)
        for request_id, text in values.items():
            found = read_cached(text)
            if found is None:
                self.unreadable += 1
                yield {"request_id": request_id, "redis": "unreadable"}
            elif request_id in rows and request_id not in hidden:
                yield from self._compare(rows[request_id], found)
            else:
                yield from self._alone(request_id, found, is_hidden=request_id in rows)

    def _compare(self, row: SourceSession, cached: SourceSession) -> Iterator[Mapping[str, object]]:
        found = list(disagreements(row, cached))
        self.differing.update(found)
        if found:
            counts = {"row": row.execution_count, "redis": cached.execution_count}
            yield {"request_id": row.request_id, "redis": found, "counts": counts}

    def _alone(self, request_id: str, cached: SourceSession, *, is_hidden: bool) -> Iterator[Mapping[str, object]]:
        """Count a key that the origin serves without looking at a row."""
        if cached.expires_at is None or cached.expires_at <= self.now:
            self.ended += 1
            return
        self.hidden += is_hidden
        self.without_row += not is_hidden
        yield {"request_id": request_id, "redis": "hidden" if is_hidden else "without_row"}
