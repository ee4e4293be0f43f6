"""The schema and what it stores: rights, migrations, indexes, the queue, webhooks and schedules."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from domain.inspection import IndexFacts, MissingRight, SchemaFacts, ServerFacts
from domain.stored_facts import QueueLanguageFacts, ScheduleFacts, WebhookFacts
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.settings import Settings

RIGHTS, SCHEMA, QUEUE, WEBHOOKS = Subject("rights"), Subject("schema"), Subject("queue"), Subject("webhooks")
SCHEDULES = Subject("schedules")
_NAMED_MAX = 3
_NOT_READY = "The service is not ready without them."

_DUE_MAX = timedelta(minutes=5)
_SENT_WITHIN = timedelta(hours=1)
"""As the alert PglambdaWebhooksLate."""


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
