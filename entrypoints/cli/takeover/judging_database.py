"""Judging the database of the origin: its server, its clock, its tables and the rights of the role."""

from collections.abc import Iterator, Mapping

from domain.takeover.inspection import HASH_TRIGGER, UPDATE_TRIGGER, SourceSchema, SourceServer, SourceTable, Variant
from domain.takeover.plan import OFFSET_MAX, PlanFacts, missing_grants
from entrypoints.cli.doctor.report import Finding, Subject

SOURCE, TARGET, CLOCK = Subject("source"), Subject("target"), Subject("clock")
SCHEMA, RIGHTS = Subject("schema"), Subject("rights")

_VERSION_LEAST = 90600
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
_NO_FENCE = "Nothing can be fenced in it, so no session can be adopted."


def database_findings(facts: PlanFacts) -> Iterator[Finding]:
    """Yield the findings about the databases of both sides."""
    yield from _servers(facts)
    yield from _clock(facts)
    yield from schema_findings(facts.source, facts.schema, facts.other_schemas, facts.timezone)
    if facts.schema.sessions is not None:
        yield from _rights(facts)


def schema_findings(
    source: SourceServer, schema: SourceSchema, other_schemas: Mapping[str, bool], timezone: str | None
) -> Iterator[Finding]:
    """Yield the findings about the tables; a problem is a reason to take nothing from them.

    `other_schemas` tells of each schema with a table of sessions whether it is one of the origin.
    """
    table = schema.sessions
    if table is None:
        yield _absent(source, other_schemas)
        return
    yield from _table(table, schema, timezone)
    yield from _variant(schema)
    yield from _structure(schema)


def _servers(facts: PlanFacts) -> Iterator[Finding]:
    source, target = facts.source, facts.target
    yield SOURCE.ok(
        f"PostgreSQL {source.major_version}, database {source.database}, schema {source.schema}, role {source.role}"
    )
    if source.version_number < _VERSION_LEAST:
        yield SOURCE.problem(
            f"PostgreSQL {source.major_version} is older than 9.6",
            "The statements of the takeover need PostgreSQL 9.6.",
            "Upgrade the server of the origin, or restore its dump on a newer one and point the origin there.",
        )
    elif not source.has_sha256:
        yield SOURCE.note(
            f"PostgreSQL {source.major_version} is older than 11",
            "It has no sha256, which verify needs. copy converts each session by itself, which takes longer.",
        )
    if source.is_standby:
        yield SOURCE.note(
            "it is a standby",
            "plan, copy and verify may read it, as old as its replay is. adopt and back write, and need the primary.",
        )
    if target is None:
        yield TARGET.note(
            "this service has no database yet",
            "The two databases, their clocks and the room could not be compared.",
            "Start the service once, and run the command again.",
        )
    elif source.same_database(target):
        yield TARGET.problem(
            "DATABASE_URL of this service is the database of the origin",
            "Both keep tables of the same names in the schema meta.",
            "Give the service a database of its own: unset DATABASE_URL, or create another database.",
        )
    else:
        yield TARGET.ok(f"PostgreSQL {target.major_version}, database {target.database}")


def _clock(facts: PlanFacts) -> Iterator[Finding]:
    clock = facts.clock
    if clock is None:
        return
    seen = f"the clock of the origin's database is {_signed_s(clock.ahead.total_seconds())} this service's"
    if clock.is_acceptable:
        yield CLOCK.ok(seen)
        return
    yield CLOCK.problem(
        f"{seen}, known to {clock.error.total_seconds():.3f} s",
        f"Each side judges by its own clock which sessions live. If they are more than {OFFSET_MAX.seconds} s apart, a "
        "session ends early or late when it moves.",
        "Let both servers take their time from the network (chrony, systemd-timesyncd).",
    )


def _signed_s(seconds: float) -> str:
    return f"{abs(seconds):.3f} s {'ahead of' if seconds >= 0 else 'behind'}"


def _absent(source: SourceServer, other_schemas: Mapping[str, bool]) -> Finding:
    of_origin = [name for name, is_of_origin in other_schemas.items() if is_of_origin]
    own = other_schemas.get(source.schema) is False
    seen = "has the tables of this service" if own else "has no sessions of lambda-microservice"
    remedy = f"Name one of these with --schema: {', '.join(of_origin)}." if of_origin else "Correct --source."
    return SCHEMA.problem(f"the schema {source.schema} {seen}", "There is nothing to take over in it.", remedy)


def _table(table: SourceTable, schema: SourceSchema, timezone: str | None) -> Iterator[Finding]:
    if table.kind in _KINDS:
        remedy = "Name the schema of the table itself with --schema."
        yield SCHEMA.problem(f"sessions is {_KINDS[table.kind]}", _NO_FENCE, remedy)
    if schema.unreadable:
        yield SCHEMA.problem(
            f"columns are missing, or have another type: {', '.join(schema.unreadable)}",
            "Every schema of the origin has them, so this table is not one, or was changed by hand.",
            "Restore the columns as the migrations of the origin define them.",
        )
    if schema.lacks_zone and timezone is None:
        yield SCHEMA.problem(
            "created_at and expires_at have no time zone",
            "Which instant they mean depends on the TimeZone setting of the session that wrote them.",
            "Name that time zone with --timezone, such as UTC or Asia/Tokyo.",
        )


_VARIANTS: Mapping[Variant, str] = {
    Variant.A: "variant A: the table of the origin's migrations",
    Variant.B: "variant B: the table of the origin's documents, with a reference to users and two triggers",
    Variant.C: "variant C: the table that the controller of one branch makes, with two triggers",
    Variant.D: "variant D: the table of init_meta_schema.sh, which no release of the origin can use",
}


def _variant(schema: SourceSchema) -> Iterator[Finding]:
    yield SCHEMA.ok(_VARIANTS[schema.variant])
    if schema.missing:
        yield SCHEMA.note(
            f"columns are missing: {', '.join(schema.missing)}",
            "They count as null, and are not written on the way back.",
        )
    if UPDATE_TRIGGER in schema.triggers:
        yield SCHEMA.warning(
            f"the trigger {UPDATE_TRIGGER} adds 1 again whenever a count grows",
            "Counts in the table are ahead of the true ones.",
            "Nothing needs to be done: back corrects each count in the same transaction.",
        )
    if HASH_TRIGGER in schema.triggers:
        yield SCHEMA.warning(
            f"the trigger {HASH_TRIGGER} fails for scripts with a backslash",
            "Such scripts never came into the table. back cannot insert sessions that have one.",
            "Drop the trigger before back, or let sessions with such scripts expire here.",
        )
    others = [name for name in schema.triggers if name not in {UPDATE_TRIGGER, HASH_TRIGGER}]
    if others or schema.rules:
        yield SCHEMA.warning(
            f"there are further triggers or rules: {', '.join((*others, *schema.rules))}",
            "The fence is an UPDATE of expires_at, and they may change or forbid it.",
            "Read them, and disable those that act on an UPDATE of expires_at.",
        )
    if schema.refers_to_users:
        yield SCHEMA.note(
            "each user_id must be in the table of users",
            "On the way back, sessions of users who are missing are refused.",
        )


def _structure(schema: SourceSchema) -> Iterator[Finding]:
    table = schema.sessions
    assert table is not None
    if not schema.has_key:
        yield SCHEMA.problem(
            "request_id is neither primary key nor unique",
            "One id may have several rows, and each page of a copy would scan the whole table.",
            "CREATE UNIQUE INDEX CONCURRENTLY ON the table (request_id), after duplicates are removed.",
        )
    if table.kind == "p":
        yield SCHEMA.note("sessions is partitioned", "Reads visit each partition.")
    if table.hides_rows:
        yield SCHEMA.problem(
            "row security hides rows from this role",
            "Sessions that it hides would be missing, and nobody would notice.",
            "Name a role with BYPASSRLS, or the owner of the table.",
        )
    if schema.required:
        yield SCHEMA.warning(
            f"columns of your own must have a value: {', '.join(schema.required)}",
            "back cannot insert sessions that are no longer in the table.",
            "Give these columns a default, or allow nulls.",
        )


def _rights(facts: PlanFacts) -> Iterator[Finding]:
    grants = missing_grants(facts.schema, facts.source, with_redis=facts.uses_redis)
    for command, statements in grants.items():
        if not statements:
            yield RIGHTS.ok(f"the role has the rights for {command}")
            continue
        make = RIGHTS.problem if command.startswith("plan") else RIGHTS.note
        yield make(f"the role lacks rights for {command}", "It would stop there.", " ".join(statements))
