"""What was seen of the origin for the plan of a takeover, and what follows from it by rule."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum

from attrs import field, frozen

from domain.scripts.language import Language
from domain.takeover.cached import CacheCensus
from domain.takeover.census import Census
from domain.takeover.inspection import (
    FUNCTIONS,
    SCRIPTS,
    SESSIONS,
    USERS,
    ReadSpeed,
    SourceCounts,
    SourceFunction,
    SourceSchema,
    SourceServer,
    SourceTable,
)
from domain.takeover.scripts import ScriptForm

OFFSET_MAX = timedelta(seconds=5)
"""How far the clocks of the two databases may be apart: each judges by its own which sessions live."""

_PAGE_BYTES = 8192
_INDEX_LOG_BYTES = 75


class Generation(StrEnum):
    """Where the origin keeps sessions.

    G1: in Redis before PostgreSQL. G2: in the memory of each process before PostgreSQL. G3: in PostgreSQL alone.
    """

    G1 = "g1"
    G2 = "g2"
    G3 = "g3"


_ALL = frozenset(Generation)
_BY_VERSION = {"0.1.0": frozenset({Generation.G1, Generation.G2}), "0.2.0": frozenset({Generation.G2, Generation.G3})}


@frozen
class GenerationEvidence:
    """What was seen of a running origin; None where nobody looked.

    `version` is that of `/health`. `written_by_older` says whether a live session shows that an execution read it from
    Redis or from memory. `redis_keys` is the number of keys of sessions that have a time to live.
    """

    version: str | None = None
    written_by_older: bool | None = None
    redis_keys: int | None = None

    @property
    def possible(self) -> frozenset[Generation]:
        """The generations that fit all evidence; all of them if it contradicts itself."""
        fitting = _BY_VERSION.get(self.version or "", _ALL)
        if self.redis_keys is not None:
            fitting &= {Generation.G1} if self.redis_keys else {Generation.G2, Generation.G3}
        if self.written_by_older:
            fitting &= {Generation.G1, Generation.G2}
        elif self.written_by_older is not None and fitting == {Generation.G2, Generation.G3}:
            # Sessions live for an hour as a rule, and any execution under G2 leaves the mark.
            fitting = frozenset({Generation.G3})
        return fitting or _ALL

    def sentences(self) -> Iterator[str]:
        """Yield each piece of evidence as a sentence."""
        if self.version is not None:
            yield f"/health of the origin says version {self.version}."
        if self.written_by_older is not None:
            sign = "Some live session has" if self.written_by_older else "No live session has"
            yield f"{sign} compile_status 'pending' after an execution, as generations 1 and 2 leave it."
        if self.redis_keys is not None:
            yield f"Redis has {self.redis_keys:,} keys session:* with a time to live; only generation 1 makes them."


@frozen
class ClockDifference:
    """How far the origin's clock is ahead of that of this service's database, and the bound of the error."""

    ahead: timedelta
    error: timedelta

    @property
    def is_acceptable(self) -> bool:
        """Whether it is within OFFSET_MAX beyond doubt."""
        return abs(self.ahead) + self.error <= OFFSET_MAX


@frozen
class ScriptVerdict:
    """A script of live sessions. `fault` is why it does not parse; None if it does, or was not checked.

    `codes` are those of the findings about its text, each once.
    """

    language: Language
    digest: str
    sessions: int
    size_bytes: int
    form: ScriptForm
    codes: Sequence[str]
    fault: str | None
    checked: bool


@frozen
class ScriptSurvey:
    """The scripts that most live sessions have; `others` is the number of sessions with another script."""

    verdicts: Sequence[ScriptVerdict] = ()
    others: int = 0


@frozen
class PlanFacts:
    """Everything that the plan is made of. What could not be read is None or empty, and a finding says why.

    `target` is the database of this service; None if there is none yet, and then `clock` is None too. `room_bytes` is
    what may still be stored in it; None if that is not known. `dump_command` backs the origin up.
    """

    source: SourceServer
    target: SourceServer | None
    schema: SourceSchema
    other_schemas: Mapping[str, bool]
    clock: ClockDifference | None
    evidence: GenerationEvidence
    chosen: Generation | None
    dump_command: str
    timezone: str | None
    counts: SourceCounts | None = None
    census: Census | None = field(default=None, repr=False)
    speed: ReadSpeed | None = None
    functions: Sequence[SourceFunction] = ()
    logs: Mapping[str, int] = field(factory=dict)
    scripts: ScriptSurvey = ScriptSurvey()
    cache: CacheCensus | None = field(default=None, repr=False)
    room_bytes: int | None = None

    @property
    def generations(self) -> frozenset[Generation]:
        """The generation that the operator names, or those that fit what was seen."""
        return self.evidence.possible if self.chosen is None else frozenset({self.chosen})

    @property
    def uses_redis(self) -> bool:
        """Whether the origin keeps sessions in Redis too, beyond doubt, or as far as its keys tell."""
        has_keys = self.cache is not None and self.cache.keys > 0
        return Generation.G1 in self.generations and (has_keys or len(self.generations) == 1)

    @property
    def is_countable(self) -> bool:
        """Whether the sessions can be read as they are."""
        table = self.schema.sessions
        readable = table is not None and table.kind in {"r", "p"} and table.can_use and table.can_select
        zoned = table is not None and (not self.schema.lacks_zone or self.timezone is not None)
        return readable and zoned and not self.schema.unreadable

    @property
    def dead_estimated(self) -> int:
        """Rows that expired before the retention, by the statistics of the server."""
        table, counts = self.schema.sessions, self.counts
        if table is None or counts is None:
            return 0
        return max(table.rows_estimated - counts.live - counts.retained - counts.fenced, 0)

    @property
    def read_s(self) -> float | None:
        """How long it takes to read what would be taken, at the speed that was measured."""
        if self.census is None or self.speed is None or not self.speed.size_bytes:
            return None
        return self.speed.elapsed_s * self.census.size_bytes / self.speed.size_bytes


def fence_log_bytes(table: SourceTable, sessions: int) -> int:
    """Return about how many bytes of WAL the fence makes: one update for each session, which touches every index.

    The first change of a page after a checkpoint logs the page as a whole.
    """
    rows = max(table.rows_estimated, sessions, 1)
    row_bytes = min(table.table_bytes / rows, _PAGE_BYTES)
    pages = min(sessions, table.table_bytes // _PAGE_BYTES + 1)
    pages += min(sessions * table.indexes, table.index_bytes // _PAGE_BYTES + table.indexes)
    return round(sessions * (row_bytes + _INDEX_LOG_BYTES * table.indexes) + pages * _PAGE_BYTES)


def missing_grants(
    schema: SourceSchema, source: SourceServer, *, with_redis: bool = False
) -> Mapping[str, Sequence[str]]:
    """Return by command the statements by which the owner of the tables gives this role what the command lacks.

    With Redis, what only Redis knows of a session is written to its row before the session moves.
    """
    table = schema.tables.get(SESSIONS)
    if table is None:
        return {}
    to, within = source.role, quoted(source.schema)
    reads = [] if table.can_use else [f"GRANT USAGE ON SCHEMA {within} TO {to};"]
    read = [
        name for name in (SESSIONS, FUNCTIONS, SCRIPTS) if name in schema.tables and not schema.tables[name].can_select
    ]
    reads += [f"GRANT SELECT ON {within}.{name} TO {to};" for name in read]
    fence = [] if table.can_fence else [f"GRANT UPDATE (expires_at) ON {within}.{SESSIONS} TO {to};"]
    adopt = _row_grants(table, within, to) if with_redis else fence
    return {"plan, copy, verify": reads, "adopt": adopt, "back": list(_back_grants(schema, within, to))}


def _row_grants(table: SourceTable, within: str, to: str) -> list[str]:
    can = {"INSERT": table.can_insert, "UPDATE": table.can_update}
    lacking = [right for right, given in can.items() if not given]
    return [f"GRANT {', '.join(lacking)} ON {within}.{SESSIONS} TO {to};"] if lacking else []


def _back_grants(schema: SourceSchema, within: str, to: str) -> Sequence[str]:
    grants = _row_grants(schema.tables[SESSIONS], within, to)
    users = schema.tables.get(USERS)
    if schema.refers_to_users and users is not None and not (users.can_select and users.can_insert):
        grants.append(f"GRANT SELECT, INSERT ON {within}.{USERS} TO {to};")
    return grants


def quoted(name: str) -> str:
    """Return an identifier as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'
