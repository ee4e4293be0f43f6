"""The statements for the origin's tables, by name, as the SQL files contain them."""

from functools import cache
from typing import TypeVar

from attrs import fields, frozen

from adapters.sql_files import read_statements

Holder = TypeVar("Holder")


@frozen
class OriginConnectionStatements:
    """Statements of `origin_connection.sql`."""

    begin: str
    commit: str
    rollback: str
    set_limits: str


@frozen
class OriginInspectionStatements:
    """Statements of `origin_inspection.sql`."""

    select_server: str
    select_system_identifier: str
    select_clock: str
    select_relations: str
    select_columns: str
    select_constraints: str
    select_triggers: str
    select_schemas: str
    select_counts: str
    select_written_by_older: str
    select_session_heads: str
    select_scripts: str
    select_sample: str
    select_functions: str
    select_logs: str


@frozen
class OriginRowStatements:
    """Statements of `origin_rows.sql`."""

    select_abilities: str
    explain_rows: str
    select_heads_by_expiry: str
    select_heads_by_id: str
    copy_page: str
    select_rows: str
    select_digests: str
    select_hidden: str
    select_functions: str


@frozen
class OriginMoveStatements:
    """Statements of `origin_moves.sql`."""

    select_live_ids: str
    select_fenced_ids: str
    select_counts: str
    fence_sessions: str
    unfence_sessions: str
    lock_sessions: str
    update_sessions: str
    correct_counts: str
    select_user_reference: str
    select_missing_users: str
    insert_users: str
    insert_sessions: str
    select_now: str
    select_runs_ahead: str
    select_executions: str


@frozen
class OriginStatements:
    """All statements, by their file."""

    connection: OriginConnectionStatements
    inspection: OriginInspectionStatements
    rows: OriginRowStatements
    moves: OriginMoveStatements


@cache
def load_origin_statements() -> OriginStatements:
    """Read the SQL files, once in a process; raises StatementsDiffer if a statement is missing or unused."""
    return OriginStatements(
        connection=_load(OriginConnectionStatements, "origin_connection.sql"),
        inspection=_load(OriginInspectionStatements, "origin_inspection.sql"),
        rows=_load(OriginRowStatements, "origin_rows.sql"),
        moves=_load(OriginMoveStatements, "origin_moves.sql"),
    )


def _load(holder: type[Holder], file_name: str) -> Holder:
    names = [wanted.name for wanted in fields(holder)]  # type: ignore[arg-type]  # each is an attrs class
    return holder(**read_statements(file_name, names))
