"""Rows of the origin, and the policy of a takeover."""

from datetime import UTC, datetime, timedelta
from hashlib import md5

from attrs import evolve

from domain.scripts.limits import Isolation, Limits
from domain.takeover.inspection import (
    SessionHead,
    SourceColumn,
    SourceConstraint,
    SourceSchema,
    SourceServer,
    SourceTable,
)
from domain.takeover.languages import OriginLanguages
from domain.takeover.owners import AnonymousOwner
from domain.takeover.plan import ClockDifference, GenerationEvidence, PlanFacts
from domain.takeover.source_session import SourceSession, TakeoverPolicy

NOW = datetime(2026, 7, 17, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ID = "6f1c0f0e-1f3b-4c5d-8e9f-0a1b2c3d4e5f"

LIMITS = Limits(timeout_ms=30_000, memory_mb=512, isolation=Isolation.SESSION)

POLICY = TakeoverPolicy(
    languages=OriginLanguages(),
    owners=AnonymousOwner(),
    limits=LIMITS,
    lifetime_max=timedelta(days=30),
    retention=timedelta(days=1),
    script_size_max=1000,
    context_size_max=1000,
)

ROW = SourceSession(
    request_id=ID,
    language_title="nodejs-adder",
    user_id=None,
    created_at=NOW - HOUR,
    expires_at=NOW + HOUR,
    last_executed_at=NOW - HOUR / 2,
    instants_fit=True,
    execution_count=3,
    status="active",
    context='{"a": 1}',
    script_content="return 1;",
    script_hash=None,
    compile_options=None,
    compile_status=None,
    compile_error=None,
    metadata=None,
    artifact_bytes=None,
)
"""A live session, as nearly all are."""


def row(**changes: object) -> SourceSession:
    return evolve(ROW, **changes)


def head(script: str | None = "return 1;", context_bytes: int = 8, **changes: object) -> SessionHead:
    """A session as the plan reads it, with stand-ins for its bodies."""
    source = evolve(ROW, script_content=script and "x", **changes)
    digest = None if not script else md5(script.encode(), usedforsecurity=False).hexdigest()
    return SessionHead(source, len((script or "").encode()), context_bytes, digest)


def table(**changes: object) -> SourceTable:
    rights = {"can_use": True, "can_select": True, "can_insert": True, "can_update": True}
    given = {"name": "sessions", "kind": "r", "hides_rows": False, "rows_estimated": 1000}
    sizes = {"table_bytes": 500_000, "index_bytes": 300_000, "indexes": 4}
    return SourceTable(**{**given, **sizes, **rights, "can_fence": True, **changes})


_TYPES = {"created_at": "timestamp with time zone", "expires_at": "timestamp with time zone", "context": "jsonb"}
_TYPES |= {"compile_options": "jsonb", "execution_count": "integer", "metadata": "jsonb"}
_NAMES = [
    "request_id",
    "language_title",
    "user_id",
    "created_at",
    "expires_at",
    "last_executed_at",
    "execution_count",
    "status",
    "context",
    "script_content",
    "script_hash",
    "compiled_artifact",
    "compile_options",
    "compile_status",
    "compile_error",
    "metadata",
]
COLUMNS = {name: SourceColumn(name, _TYPES.get(name, "character varying"), name == "request_id") for name in _NAMES}

SCHEMA = SourceSchema(
    tables={"sessions": table()},
    columns=COLUMNS,
    constraints=[SourceConstraint("sessions_pkey", "p", "PRIMARY KEY (request_id)")],
    triggers=[],
    rules=[],
)
SERVER = SourceServer(
    schema="meta",
    system_identifier="77",
    version_number=140011,
    role="reader",
    database="lambda",
    database_oid="16384",
    started_at=NOW,
    is_standby=False,
)
FACTS = PlanFacts(
    source=SERVER,
    target=evolve(SERVER, system_identifier="78", version_number=180006, database="pglambda"),
    schema=SCHEMA,
    other_schemas={"meta": True},
    clock=ClockDifference(timedelta(milliseconds=1), timedelta(milliseconds=1)),
    evidence=GenerationEvidence("0.2.0", written_by_older=False),
    chosen=None,
    dump_command="pg_dump --dbname=x",
    timezone=None,
)
