"""Facts about the origin's database, each read in a short transaction."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast

from attrs import define

from adapters.origin.database import OriginDatabase
from adapters.origin.rows import ROW_COLUMNS, session_of
from adapters.origin.statements import OriginInspectionStatements
from domain.json_text import JsonText
from domain.takeover.fence import HIDDEN_BEFORE
from domain.takeover.inspection import (
    ReadSpeed,
    SessionHead,
    SourceColumn,
    SourceConstraint,
    SourceCounts,
    SourceFunction,
    SourceSchema,
    SourceServer,
    SourceTable,
)
from domain.takeover.reader_ports import OriginReader

_PAGE = 5000
_SCRIPTS_AT_ONCE = 50
_HASHES_MAX = 20_000
_SAMPLES = 5
_SAMPLE_ROWS_MAX = 200
_OLDER_ROWS_MAX = 50_000
_FUNCTIONS_MAX = 10_000


@define(eq=False)
class OriginInspector:
    """Reads facts; every method may raise SourceUnavailable or SourceRefused."""

    _database: OriginDatabase
    _statements: OriginInspectionStatements
    _reader: OriginReader

    @property
    def dump_command(self) -> str:
        """The command that backs the origin's tables up, without a password."""
        return self._database.options.dump_command

    async def server(self) -> SourceServer:
        """Return the server, the database and the role."""
        (row,) = await self._rows(self._statements.select_server)
        *facts, shows_identifier = row
        identifier = None
        if shows_identifier:
            ((identifier,),) = await self._rows(self._statements.select_system_identifier)
        schema = self._database.options.address.schema
        return SourceServer(schema, identifier, *facts)

    async def schema(self) -> SourceSchema:
        """Return the tables, and the columns, constraints and triggers of the sessions."""
        statements, named = self._statements, {"schema": self._database.options.address.schema}
        tables = [SourceTable(*row) for row in await self._rows(statements.select_relations, named)]
        columns = [SourceColumn(*row) for row in await self._rows(statements.select_columns, named)]
        constraints = [SourceConstraint(*row) for row in await self._rows(statements.select_constraints, named)]
        active = [(name, kind) for name, kind in await self._rows(statements.select_triggers, named)]
        return SourceSchema(
            tables={table.name: table for table in tables},
            columns={column.name: column for column in columns},
            constraints=constraints,
            triggers=[name for name, kind in active if kind == "trigger"],
            rules=[name for name, kind in active if kind == "rule"],
        )

    async def other_schemas(self) -> Mapping[str, bool]:
        """Return the schemas with a table of sessions, and whether it is one of the origin (else of this service)."""
        rows = await self._rows(self._statements.select_schemas)
        return {name: is_of_origin and not is_own for name, is_of_origin, is_own in rows}

    async def clock_offset(self) -> tuple[timedelta, timedelta]:
        """Return how far the server's clock is ahead of this host's monotonic one, and the bound of the error.

        The offset has a meaning only in comparison with another one that is measured in this process.
        """
        samples = [await self._clock_sample() for _ in range(_SAMPLES)]
        return min(samples, key=lambda sample: sample[1])

    async def now(self) -> datetime:
        """Return the server's present instant."""
        ((now,),) = await self._rows(self._statements.select_clock)
        return cast("datetime", now).astimezone(UTC)

    async def counts(self, retained_after: datetime) -> SourceCounts:
        """Return the numbers of sessions; retained are those that expired after an instant."""
        bounds = {"retained_after": retained_after, "fenced_before": HIDDEN_BEFORE}
        ((live, retained, fenced, last_s),) = await self._rows(self._statements.select_counts, bounds)
        return SourceCounts(live, retained, fenced, None if last_s is None else timedelta(seconds=last_s))

    async def heads(self, expired_after: datetime) -> AsyncIterator[Sequence[SessionHead]]:
        """Yield sessions that expire after an instant in pages, each read in short transactions."""
        after: JsonText | None = None
        hashes: dict[str, str] = {}
        while page := await self._reader.heads(after, expired_after, _PAGE):
            named = {"request_ids": [each.request_id for each in page]}
            rows = await self._rows(self._statements.select_session_heads, named)
            await self._add_hashes(rows, hashes)
            yield [_head(row, hashes) for row in rows]
            after = page[-1].cursor

    async def _add_hashes(self, rows: Sequence[tuple[Any, ...]], hashes: dict[str, str]) -> None:
        """Add the hashes of scripts, by their digests, whose rows have one; equal scripts are read once."""
        if len(hashes) > _HASHES_MAX:
            hashes.clear()
        samples = {row[-2]: row[0] for row in rows if None not in row[-2:] and row[-2] not in hashes}
        digests, ids = list(samples), list(samples.values())
        for start in range(0, len(ids), _SCRIPTS_AT_ONCE):
            part = slice(start, start + _SCRIPTS_AT_ONCE)
            scripts = await self.scripts(ids[part])
            found = zip(digests[part], map(scripts.get, ids[part]), strict=True)
            hashes |= {digest: sha256(script.encode()).hexdigest() for digest, script in found if script is not None}

    async def scripts(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the scripts of some sessions by id; one without a script is left out."""
        rows = await self._rows(self._statements.select_scripts, {"request_ids": list(ids)})
        return {request_id: script for request_id, script in rows if script}

    async def read_speed(self) -> ReadSpeed:
        """Measure how fast whole rows come."""
        began_s = time.monotonic()
        rows = await self._rows(self._statements.select_sample, {"rows_max": _SAMPLE_ROWS_MAX})
        return ReadSpeed(sum(size or 0 for size, *_ in rows), time.monotonic() - began_s)

    async def written_by_older(self) -> bool:
        """Return whether a live session was executed by a release that reads sessions from Redis or from memory."""
        ((found,),) = await self._rows(self._statements.select_written_by_older, {"rows_max": _OLDER_ROWS_MAX})
        return bool(found)

    async def functions(self) -> Sequence[SourceFunction]:
        """Return the functions, at most 10,000."""
        rows = await self._rows(self._statements.select_functions, {"rows_max": _FUNCTIONS_MAX})
        return [SourceFunction(*row) for row in rows]

    async def logs(self) -> Mapping[str, int]:
        """Return the estimated number of rows in the tables of logs."""
        return dict(await self._rows(self._statements.select_logs))

    async def _clock_sample(self) -> tuple[timedelta, timedelta]:
        sent_s = time.monotonic()
        at = await self.now()
        received_s = time.monotonic()
        middle = timedelta(seconds=(sent_s + received_s) / 2)
        return at - _EPOCH - middle, timedelta(seconds=(received_s - sent_s) / 2)

    async def _rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        return await self._database.fetch(sql, parameters)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _head(row: tuple[Any, ...], hashes: Mapping[str, str]) -> SessionHead:
    script_bytes, context_bytes, digest, stored_hash = row[ROW_COLUMNS:]
    differs = stored_hash is not None and stored_hash != hashes.get(digest, stored_hash)
    return SessionHead(session_of(*row[:ROW_COLUMNS]), script_bytes or 0, context_bytes or 0, digest, differs)
