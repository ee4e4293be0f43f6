"""The schema: rights, migrations, indexes, and the state of the tables."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from domain.inspection import HorizonHolder, IndexFacts, MissingRight, SchemaFacts, ServerFacts, TableFacts
from domain.stored_facts import QueueLanguageFacts, ScheduleFacts, WebhookFacts
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.settings import Settings

RIGHTS, SCHEMA, TABLES, QUEUE = Subject("rights"), Subject("schema"), Subject("tables"), Subject("queue")
WEBHOOKS, SCHEDULES = Subject("webhooks"), Subject("schedules")
_NAMED_MAX = 3
_NOT_READY = "The service is not ready without them."

_SESSIONS = "sessions"
_UPDATES_MIN = 1000
_HOT_SHARE_MIN = 0.6
"""Renewals of sliding sessions change an index, so they are not HOT; most updates are executions."""

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
_DUE_MAX = timedelta(minutes=5)
_SENT_WITHIN = timedelta(hours=1)
"""As the alert PglambdaWebhooksLate."""

_FILLFACTOR = "fillfactor=80"
_NO_VACUUM = "Vacuum cannot remove rows that died since then, in any table of the database."


def judge_rights(missing: Sequence[MissingRight], server: ServerFacts) -> Finding:
    """Return whether the role has the rights that the service needs."""
    role = server.role
    if not missing:
        return RIGHTS.ok(f"the role {role} has all rights that the service needs")
    lacking = f"the role {role} lacks {', '.join(_unique(each.right for each in missing))}{_where(missing)}"
    if all(each.is_of_bucket for each in missing):
        return RIGHTS.problem(
            lacking,
            "Calls for sessions in buckets get 503 right_missing.",
            "Run `pglambda migrate up` as the owner: it gives each role the rights in buckets that it has on `meta`.",
        )
    grants = [
        f"GRANT {', '.join(_rights(missing, each))} ON {each} TO {role}" for each in _unique(r.on for r in missing)
    ]
    return RIGHTS.problem(
        lacking,
        "Calls that need these rights fail, and migrations are refused.",
        f"{'; '.join(grants)} (as the owner), or name the owner's role in DATABASE_URL.",
    )


def _where(missing: Sequence[MissingRight]) -> str:
    tables = _unique(f"{each.schema}.{each.table}" for each in missing if each.table)
    if not tables:
        return f" on {missing[0].on}"
    named = ", ".join(tables[:_NAMED_MAX])
    return f" on {named}" + (f" and {len(tables) - _NAMED_MAX} more" if len(tables) > _NAMED_MAX else "")


def _rights(missing: Sequence[MissingRight], on: str) -> list[str]:
    return _unique(each.right for each in missing if each.on == on)


def _unique(names: Iterable[str]) -> list[str]:
    """Return each name once, in the order of its first occurrence."""
    return list(dict.fromkeys(names))


def judge_schema(facts: SchemaFacts, settings: Settings) -> Sequence[Finding]:
    """Return the findings about the migrations."""
    return list(_judge_migrations(facts, settings)) or [SCHEMA.ok(f"all {facts.applied} migrations are applied")]


def _judge_migrations(facts: SchemaFacts, settings: Settings) -> Iterator[Finding]:
    if facts.unknown:
        yield SCHEMA.problem(
            f"migrations are applied that this release does not have: {', '.join(facts.unknown)}",
            "A service of this release is not ready: it does not work beside them.",
            "Run the release that has them, or use that release to migrate down first.",
        )
    if facts.newer:
        yield SCHEMA.note(
            f"a newer release has applied migrations: {', '.join(facts.newer)}",
            "This release works beside them. Only the newer release can revert them.",
        )
    if facts.differing:
        yield SCHEMA.problem(
            f"migrations were changed after they were applied: {', '.join(facts.differing)}",
            "A service of this release is not ready: its statements were written for another schema.",
            "Restore these files. A change of the schema needs a new migration.",
        )
    seen = f"migrations are pending: {', '.join(facts.pending)}"
    if facts.pending and facts.other_owner is not None:
        yield SCHEMA.problem(
            f"{seen}; another role owns the schema",
            f"{_NOT_READY} Only the role that owns the schema can apply them.",
            f"pglambda migrate up, with the role {facts.other_owner} in DATABASE_URL",
        )
    elif facts.pending and settings.auto_migrate:
        yield SCHEMA.note(seen, remedy="`pglambda serve` applies them when it starts.")
    elif facts.pending:
        yield SCHEMA.problem(seen, _NOT_READY, "pglambda migrate up")


def judge_indexes(facts: IndexFacts) -> Sequence[Finding]:
    """Return the findings about the indexes; none before the first migration."""
    if not facts.expected:
        return []
    return list(_judge_indexes(facts)) or [SCHEMA.ok(f"all {len(facts.expected)} indexes exist and are valid")]


def _judge_indexes(facts: IndexFacts) -> Iterator[Finding]:
    missing = [name for name in facts.expected if name not in facts.valid]
    invalid = [name for name, is_valid in facts.valid.items() if not is_valid]
    foreign = sorted(set(facts.valid) - set(facts.expected))
    if missing:
        yield SCHEMA.problem(
            f"indexes are missing: {', '.join(missing)}",
            "Statements read whole tables instead. When these have grown, the statements exceed their time limit.",
            "Create them again, CONCURRENTLY, as in the files of the migrations.",
        )
    if invalid:
        yield SCHEMA.problem(
            f"indexes are not valid: {', '.join(invalid)}",
            "Writes update them, and no statement uses them.",
            "; ".join(f"REINDEX INDEX CONCURRENTLY meta.{name}" for name in invalid),
        )
    if foreign:
        yield SCHEMA.note(
            f"indexes that the service does not need: {', '.join(foreign)}",
            "Each costs time at every write. An index on a column that executions change prevents HOT updates.",
            "Drop them if nothing else needs them.",
        )


def judge_tables(tables: Sequence[TableFacts]) -> Sequence[Finding]:
    """Return the findings about updates and dead rows."""
    found = [finding for table in tables for finding in (*_judge_updates(table), *_judge_dead_rows(table))]
    return found or [TABLES.ok("the tables have few dead rows")]


def _judge_updates(table: TableFacts) -> Iterator[Finding]:
    if table.name != _SESSIONS:
        return
    share = table.hot_updates / table.updates if table.updates else 0
    if table.updates < _UPDATES_MIN:
        yield TABLES.note(f"meta.sessions: {table.updates:,} updates so far, too few to judge whether they are HOT")
    elif share < _HOT_SHARE_MIN:
        yield TABLES.warning(
            f"meta.sessions: {share:.0%} of {table.updates:,} updates are HOT",
            "An update that is not HOT writes to every index: executions cost several times the work.",
            "Look for indexes that the service does not need, for old transactions, and for a fillfactor other "
            "than 80. "
            "Many short sliding sessions have this effect too. pg_stat_reset_single_table_counters resets the count.",
        )
    else:
        yield TABLES.ok(f"meta.sessions: {share:.0%} of its updates are HOT")
    if _FILLFACTOR not in table.options:
        yield TABLES.warning(
            "meta.sessions has lost its fillfactor",
            "Full pages leave no space for updates in the same page.",
            "ALTER TABLE meta.sessions SET (fillfactor = 80)",
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


def judge_queue(languages: Sequence[QueueLanguageFacts], now: datetime) -> Iterator[Finding]:
    """Yield what waits in the queue, and a warning for a language whose executions are not taken in time."""
    for each in languages:
        if each.due_at is not None and now - each.due_at > _DUE_MAX:
            since = f"{each.due_at:%Y-%m-%d %H:%M:%S}Z"
            yield QUEUE.warning(
                f"{each.queued:,} executions of {each.language} wait, the oldest since {since}",
                "They expire if no controller takes them in time.",
                f"Look at /health of the controllers: is {each.language} served, and are there free workers?",
            )
        elif each.queued or each.running:
            yield QUEUE.ok(f"{each.queued:,} executions of {each.language} wait, and {each.running:,} run")


def judge_webhooks(facts: WebhookFacts, now: datetime, *, has_key: bool) -> Iterator[Finding]:
    """Yield what keeps messages from being sent, and a note if webhooks were disabled because they failed."""
    if facts.unsignable:
        key = "follow from another WEBHOOK_KEY" if has_key else "cannot be derived, because WEBHOOK_KEY is not set"
        yield WEBHOOKS.warning(
            f"the secrets of {facts.unsignable:,} webhooks {key}",
            "A controller with this setting sends them no messages.",
            "Set the WEBHOOK_KEY that the other controllers have, or had before. If it is lost, tell the owners, who "
            "rotate the secrets.",
        )
    if facts.due_at is not None and now - facts.due_at > _SENT_WITHIN:
        yield WEBHOOKS.warning(
            f"a message to a webhook could be sent since {facts.due_at:%Y-%m-%d %H:%M:%S}Z",
            "Its owner hears late of what has ended, and after 7 days not at all.",
            "Look at pglambda_webhook_attempts_total and the log of the controllers: do they have WEBHOOK_KEY?",
        )
    if facts.disabled:
        yield WEBHOOKS.note(
            f"{facts.disabled:,} webhooks are disabled, because their receivers were gone or failed for five days",
            "Their owners get no messages. What was to be sent is listed as failed.",
            "pglambda webhooks list names them. Tell the owners, who enable them again.",
        )


def judge_schedules(facts: ScheduleFacts) -> Iterator[Finding]:
    """Yield a warning if schedules are late, and a note if some have ended because their time zone is not known."""
    if facts.first_due_at is not None:
        yield SCHEDULES.warning(
            f"{facts.late:,} schedules are late, the first since {facts.first_due_at:%Y-%m-%d %H:%M:%S}Z",
            "Their executions start late, or not at all, as the catch_up of each schedule says.",
            "Look at /health of the controllers, and at GET /api/v1/queue: does one run, and does the queue have room? "
            "A controller with IDEMPOTENCY=off starts no schedule.",
        )
    if facts.unreadable:
        yield SCHEDULES.note(
            f"{facts.unreadable:,} schedules have ended, because a controller does not know their time zone",
            "They start nothing.",
            "Update tzdata on the host of every controller, then pause and resume the schedules.",
        )


def judge_slots(idle: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding if there are replication slots without a reader."""
    if idle:
        yield TABLES.warning(
            f"replication slots have no reader: {', '.join(idle)}",
            f"The server keeps all of its log for them until the disk is full. {_NO_VACUUM}",
            "Start their readers again, or drop the slots: pg_drop_replication_slot.",
        )
