"""The schema: its migrations and its indexes."""

from collections.abc import Iterator

from domain.inspection import IndexFacts, SchemaFacts
from entrypoints.cli.diagnosis.finding import Finding, note, ok, problem
from entrypoints.settings.settings import Settings

SUBJECT = "schema"


def judge_schema(facts: SchemaFacts, settings: Settings) -> list[Finding]:
    """Return what is to be said of the migrations."""
    return list(_migrations(facts, settings)) or [ok(SUBJECT, f"all {facts.applied} migrations are taken")]


def _migrations(facts: SchemaFacts, settings: Settings) -> Iterator[Finding]:
    if facts.unknown:
        yield problem(
            SUBJECT,
            f"the database has taken {', '.join(facts.unknown)}, which this release does not have",
            "A service of this release is not ready: it does not know what it would break.",
            "Run the release that has it, or migrate down with that one first.",
        )
    if facts.differing:
        yield problem(
            SUBJECT,
            f"{', '.join(facts.differing)} differ from what the database has taken",
            "A service of this release is not ready: the schema is not what its statements were written for.",
            "Restore those files; a change of the schema needs a migration of its own.",
        )
    if facts.pending and facts.other_owner is not None:
        yield problem(
            SUBJECT,
            f"not taken yet: {', '.join(facts.pending)}, and the schema is that of another role",
            "The service is not ready without them, and only the role that owns the schema may take them.",
            f"pglambda migrate up, with the role {facts.other_owner} in DATABASE_URL",
        )
    elif facts.pending and settings.auto_migrate:
        yield note(
            SUBJECT, f"to be taken: {', '.join(facts.pending)}", remedy="`pglambda serve` takes them at its start."
        )
    elif facts.pending:
        yield problem(
            SUBJECT,
            f"not taken yet: {', '.join(facts.pending)}",
            "The service is not ready without them.",
            "pglambda migrate up",
        )


def judge_indexes(facts: IndexFacts) -> list[Finding]:
    """Return what is to be said of the indexes; nothing as long as no migration is taken."""
    if not facts.expected:
        return []
    return list(_indexes(facts)) or [ok(SUBJECT, f"all {len(facts.expected)} indexes are there and valid")]


def _indexes(facts: IndexFacts) -> Iterator[Finding]:
    missing = [name for name in facts.expected if name not in facts.valid]
    invalid = [name for name, is_valid in facts.valid.items() if not is_valid]
    spare = sorted(set(facts.valid) - set(facts.expected))
    if missing:
        yield problem(
            SUBJECT,
            f"indexes are missing: {', '.join(missing)}",
            "Statements read whole tables instead, and end at their time limit once these have grown.",
            "Make them again, CONCURRENTLY, as the files of the migrations have them.",
        )
    if invalid:
        yield problem(
            SUBJECT,
            f"indexes are not valid: {', '.join(invalid)}",
            "They are kept up to date and not read.",
            "; ".join(f"REINDEX INDEX CONCURRENTLY meta.{name}" for name in invalid),
        )
    if spare:
        yield note(
            SUBJECT,
            f"indexes that are not the service's: {', '.join(spare)}",
            "Each costs time at every write; one on a column that executions change ends HOT updates.",
            "Drop those that nobody needs.",
        )
