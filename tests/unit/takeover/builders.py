"""Rows of the origin, and the policy of a takeover."""

from datetime import UTC, datetime, timedelta

from attrs import evolve

from domain.scripts.limits import Isolation, Limits
from domain.takeover.languages import OriginLanguages
from domain.takeover.owners import AnonymousOwner
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
