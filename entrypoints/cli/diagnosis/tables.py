"""The tables: whether updates stay within their page, and whether what is dead is cleared away."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from domain.inspection import TableFacts
from entrypoints.cli.diagnosis.finding import Finding, note, ok, warning

SUBJECT = "tables"
_SESSIONS = "sessions"
_UPDATES_MIN = 1000
_HOT_SHARE_MIN = 0.6
"""Renewals of sliding sessions touch an index and are rightly not HOT; executions are most of the updates."""
_DEAD_MIN = 20_000
_DEAD_SHARE_MAX = 0.5
_TRANSACTION_MAX = timedelta(minutes=10)
_FILLFACTOR = "fillfactor=80"
_WEDGED = "Vacuum cannot remove what died since then, in any table of the database."


def judge_tables(tables: Sequence[TableFacts]) -> list[Finding]:
    """Return what is to be said of the tables."""
    found = [finding for table in tables for finding in _dead(table)]
    sessions = next((table for table in tables if table.name == _SESSIONS), None)
    return [*(_hot(sessions) if sessions else ()), *found] or [ok(SUBJECT, "no more dead rows than there should be")]


def _hot(table: TableFacts) -> Iterator[Finding]:
    if table.updates < _UPDATES_MIN:
        yield note(SUBJECT, f"meta.sessions: {table.updates:,} updates so far, too few to judge whether they are HOT")
    elif table.hot_updates < table.updates * _HOT_SHARE_MIN:
        yield warning(
            SUBJECT,
            f"meta.sessions: {table.hot_updates / table.updates:.0%} of {table.updates:,} updates are HOT",
            "An update that leaves its page writes to every index: executions cost several times the work.",
            "Look for indexes that are not the service's, for old transactions, and for a fillfactor other than 80; "
            "many short sliding sessions do it too. pg_stat_reset_single_table_counters begins the count anew.",
        )
    else:
        yield ok(SUBJECT, f"meta.sessions: {table.hot_updates / table.updates:.0%} of its updates are HOT")
    if _FILLFACTOR not in table.options:
        yield warning(
            SUBJECT,
            "meta.sessions has lost its fillfactor",
            "Full pages leave no room to update a row where it is.",
            "ALTER TABLE meta.sessions SET (fillfactor = 80)",
        )


def _dead(table: TableFacts) -> Iterator[Finding]:
    if table.dead_rows >= _DEAD_MIN and table.dead_rows > table.live_rows * _DEAD_SHARE_MAX:
        last = "never" if table.last_vacuum_at is None else f"last on {table.last_vacuum_at:%Y-%m-%d %H:%M}Z"
        yield warning(
            SUBJECT,
            f"meta.{table.name}: {table.dead_rows:,} dead rows beside {table.live_rows:,}, vacuumed {last}",
            "The table and its indexes grow, and statements read past the dead rows.",
            f"See what keeps autovacuum from it (old transactions, idle slots, a lock), then VACUUM meta.{table.name}.",
        )
    if "autovacuum_enabled=false" in table.options:
        yield warning(
            SUBJECT,
            f"autovacuum is off for meta.{table.name}",
            "Nothing clears its dead rows away.",
            f"ALTER TABLE meta.{table.name} RESET (autovacuum_enabled)",
        )


def judge_transactions(oldest_at: datetime | None, now: datetime) -> list[Finding]:
    """Return what is to be said of transactions that do not end."""
    if oldest_at is not None and now - oldest_at > _TRANSACTION_MAX:
        return [
            warning(
                SUBJECT,
                f"a transaction has been open since {oldest_at:%Y-%m-%d %H:%M:%S}Z",
                _WEDGED,
                "End it: pg_stat_activity shows whose it is, pg_terminate_backend ends it.",
            )
        ]
    return []


def judge_slots(idle: Sequence[str]) -> list[Finding]:
    """Return what is to be said of replication slots that nobody reads."""
    if not idle:
        return []
    return [
        warning(
            SUBJECT,
            f"replication slots that nobody reads: {', '.join(idle)}",
            f"The server keeps all of its log for them until the disk is full. {_WEDGED}",
            "Bring their readers back, or drop them: pg_drop_replication_slot.",
        )
    ]
