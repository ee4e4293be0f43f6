"""Measures how much is stored."""

import re
from collections import defaultdict
from collections.abc import Sequence

from attrs import define

from adapters.postgres import codec
from adapters.postgres.codec import PARTITIONS, date_of, day_of
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.administration import StorageStatements
from domain.storage.storage import Amount, HistoryDay, Part, ShortenedDay, Stored

_HISTORY_TABLE = re.compile(r"execution(?:s|_uses)_(\d\d)")
_FILE_TABLE = re.compile(r"(?:files|file_chunks)_\d\d")
_SHARD = re.compile(r"_\d{4,}$")
"""What the name of a table has behind it if it is a shard of a bucket."""
_PARTS = {
    "sessions": Part.SESSIONS,
    "session_states": Part.SESSIONS,
    "open_executions": Part.OPEN_EXECUTIONS,
    "queued_executions": Part.QUEUE,
    "repeated_accepts": Part.QUEUE,
    "live_output": Part.QUEUE,
    "webhooks": Part.WEBHOOKS,
    "deliveries": Part.WEBHOOKS,
    "environments": Part.ENVIRONMENTS,
    "environment_builds": Part.ENVIRONMENTS,
    "trees": Part.ENVIRONMENTS,
    "tree_chunks": Part.ENVIRONMENTS,
    "schedules": Part.SCHEDULES,
    "schedule_firings": Part.SCHEDULES,
    "idempotency_keys": Part.IDEMPOTENCY_KEYS,
    "functions": Part.FUNCTIONS,
    "function_versions": Part.FUNCTIONS,
    "takeover": Part.TAKEOVER,
    "inbound_sessions": Part.TAKEOVER,
    "taken_sessions": Part.TAKEOVER,
    "recorded_calls": Part.TAKEOVER,
    "recording": Part.TAKEOVER,
    "audit": Part.AUDIT,
}


@define(eq=False)
class StorageGauge:
    """Measures the sizes of the stored parts. Every method may raise StorageUnavailable or Overloaded."""

    _gateway: Gateway
    _statements: StorageStatements

    async def stored(self) -> Stored:
        """Return the sizes of all parts; a partition of the history counts as a day if it has a row.

        Rows are read before sizes. If another controller empties a day meanwhile, the day is listed but no longer in
        the total, never the other way round.
        """
        partitions = codec.numbers(range(PARTITIONS))
        rows = await self._gateway.fetch(self._statements.select_first_executions, {"partitions": partitions})
        days = {partition: day_of(execution_id) for partition, execution_id in rows}
        parts: defaultdict[Part, Amount] = defaultdict(Amount)
        history: defaultdict[int, Amount] = defaultdict(Amount)
        for name, size_bytes, count in await self._gateway.fetch(self._statements.select_table_sizes, {}):
            amount, partition = Amount(size_bytes, count), _HISTORY_TABLE.fullmatch(_SHARD.sub("", name))
            parts[part_of(name)] += amount
            if partition is not None and int(partition[1]) in days:
                history[days[int(partition[1])]] += amount
        return Stored(
            {part: parts[part] for part in Part},
            [HistoryDay(date_of(day), history[day]) for day in sorted(history)],
        )

    async def shortened(self) -> Sequence[ShortenedDay]:
        """Return the days that were removed for the budget, oldest first; some may be long past retention."""
        rows = await self._gateway.fetch(self._statements.select_shortened_days, {})
        return [ShortenedDay(*row) for row in rows]


def part_of(table: str) -> Part:
    """Return the part that a table stores; its name may be that of a shard."""
    name = _SHARD.sub("", table)
    if _HISTORY_TABLE.fullmatch(name):
        return Part.HISTORY
    return Part.FILES if _FILE_TABLE.fullmatch(name) else _PARTS.get(name, Part.OTHER)
