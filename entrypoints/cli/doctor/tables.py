"""The tables: whether their rows are updated cheaply, and what keeps dead ones."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from domain.inspection import HorizonHolder, TableFacts
from entrypoints.cli.doctor.report import Finding, Subject

TABLES = Subject("tables")
_NAMED_MAX = 3
_UPDATES_MIN = 1000
_DEAD_MIN = 20_000
_DEAD_SHARE_MAX = 0.5
_HORIZON_MAX = timedelta(minutes=5)
_HORIZON_TRANSACTIONS_MAX = 100_000
"""Of a holder that does not say since when."""
_REMEDIES = {
    "process": "End it if it does nothing useful: SELECT pg_terminate_backend({}).",
    "prepared transaction": "End it, as its owner or a superuser: COMMIT PREPARED '{0}' or ROLLBACK PREPARED '{0}'.",
    "replication slot": "Start its reader, or drop it: SELECT pg_drop_replication_slot('{}').",
    "standby": "Look for a long query on the standby that process {} serves, or turn its hot_standby_feedback off.",
}
_NO_VACUUM = "Vacuum cannot remove rows that died since then, in any table of the database."


@frozen
class _Updated:
    """A table whose rows each execution updates, in columns without an index. Hence most updates should be HOT."""

    fillfactor: int
    hot_share_min: float
    cost: str
    exception: str = ""
    is_always_used: bool = False


_UPDATED = {
    "sessions": _Updated(
        fillfactor=80,
        hot_share_min=0.6,  # renewals of sliding sessions change an index; most updates are executions
        cost="executions cost several times the work.",
        exception=" Many short sliding sessions have this effect too.",
        is_always_used=True,
    ),
    "session_states": _Updated(
        fillfactor=50,
        hot_share_min=0.6,
        cost="each execution that changes a state does so twice.",
    ),
}


def judge_tables(tables: Sequence[TableFacts]) -> Sequence[Finding]:
    """Return the findings about updates and dead rows."""
    found = [finding for table in tables for finding in (*_judge_updates(table), *_judge_dead_rows(table))]
    return found or [TABLES.ok("the tables have few dead rows")]


def _judge_updates(table: TableFacts) -> Iterator[Finding]:
    updated = _UPDATED.get(table.name)
    if updated is None:
        return
    share = table.hot_updates / table.updates if table.updates else 0
    if table.updates >= _UPDATES_MIN and share < updated.hot_share_min:
        yield TABLES.warning(
            f"meta.{table.name}: {share:.0%} of {table.updates:,} updates are HOT",
            f"An update that is not HOT writes to every index: {updated.cost}",
            "Look for indexes that the service does not need, for old transactions, and for a fillfactor other "
            f"than {updated.fillfactor}.{updated.exception} pg_stat_reset_single_table_counters resets the count.",
        )
    elif table.updates >= _UPDATES_MIN:
        yield TABLES.ok(f"meta.{table.name}: {share:.0%} of its updates are HOT")
    elif updated.is_always_used:
        yield TABLES.note(f"meta.{table.name}: {table.updates:,} updates so far, too few to judge whether they are HOT")
    if f"fillfactor={updated.fillfactor}" not in table.options:
        yield TABLES.warning(
            f"meta.{table.name} has lost its fillfactor",
            "Full pages leave no space for updates in the same page.",
            f"ALTER TABLE meta.{table.name} SET (fillfactor = {updated.fillfactor})",
        )


def _judge_dead_rows(table: TableFacts) -> Iterator[Finding]:
    if table.dead_rows >= _DEAD_MIN and table.dead_rows > table.live_rows * _DEAD_SHARE_MAX:
        last = "never" if table.last_vacuum_at is None else f"last on {table.last_vacuum_at:%Y-%m-%d %H:%M}Z"
        yield TABLES.warning(
            f"meta.{table.name}: {table.dead_rows:,} dead rows, {table.live_rows:,} live rows, vacuumed {last}",
            "The table and its indexes grow, and statements read the dead rows too.",
            f"Find what stops autovacuum (old transactions, idle slots, a lock). Then VACUUM meta.{table.name}.",
        )
    if "autovacuum_enabled=false" in table.options:
        yield TABLES.warning(
            f"autovacuum is off for meta.{table.name}",
            "Its dead rows are never removed.",
            f"ALTER TABLE meta.{table.name} RESET (autovacuum_enabled)",
        )


def judge_horizon(holders: Sequence[HorizonHolder], now: datetime) -> Iterator[Finding]:
    """Yield a finding for each of the first ones that keep dead rows from being removed for too long."""
    late = [each for each in holders if _holds_too_long(each, now)]
    for each in late[:_NAMED_MAX]:
        yield TABLES.warning(
            f"{_named(each)} keeps dead rows {_age(each, now)}",
            f"{_NO_VACUUM} The queue of executions becomes slow first, because each execution leaves a dead row there.",
            _REMEDIES[each.kind].format(each.name),
        )


def _holds_too_long(holder: HorizonHolder, now: datetime) -> bool:
    if holder.since is None:
        return holder.transactions > _HORIZON_TRANSACTIONS_MAX
    return now - holder.since > _HORIZON_MAX


def _named(holder: HorizonHolder) -> str:
    known = ", ".join(each for each in (holder.application, holder.state) if each)
    return f"the {holder.kind} {holder.name}" + (f" ({known})" if known else "")


def _age(holder: HorizonHolder, now: datetime) -> str:
    behind = f"{holder.transactions:,} transactions"
    if holder.since is None:
        return f"since {behind} ago"
    minutes = (now - holder.since) // timedelta(minutes=1)
    return f"since {holder.since:%Y-%m-%d %H:%M:%S}Z, {minutes} min and {behind} ago"


def judge_slots(idle: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding if there are replication slots without a reader."""
    if idle:
        yield TABLES.warning(
            f"replication slots have no reader: {', '.join(idle)}",
            f"The server keeps all of its log for them until the disk is full. {_NO_VACUUM}",
            "Start their readers again, or drop the slots: pg_drop_replication_slot.",
        )
