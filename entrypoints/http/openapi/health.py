"""The contracts of the routes for operators."""

from attrs import evolve

from domain.access.principal import ScopeMissing
from domain.errors import StorageUnavailable
from entrypoints.http.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.openapi.parameters import CURSOR, LIMIT, LINK, OWNER
from entrypoints.http.schemas.health import Readiness

_POSTGRES = {"postgres": {"status": "ok", "latency_ms": 0.4}}

LIVEZ = Contract(
    Tag.OPERATIONS,
    "Check that the process runs",
    "Responds as long as the process runs, whatever the state of its components. Restart the process if it does not.",
    examples=(ApiExample("alive", "The process runs", response={"status": "ok"}),),
)

READYZ = Contract(
    Tag.OPERATIONS,
    "Check whether the process should get requests",
    "Reports whether the process should get requests. It should not while the database, its schema or the clock are "
    "missing, while the database accepts no writes, or while the process is about to stop. A write is tried and rolled "
    "back, at most once in five seconds.",
    examples=(
        ApiExample("ready", "Send requests", response={"status": "ready", "draining": False, "components": _POSTGRES}),
    ),
    other_responses={503: Readiness},
)

HEALTH = Contract(
    Tag.OPERATIONS,
    "Describe all components",
    "Describes all components for people. It responds within a second in every state.",
    examples=(
        ApiExample(
            "healthy",
            "All components are ok",
            response={"status": "ok", "version": "0.2.0", "draining": False, "components": _POSTGRES},
        ),
    ),
)

AUDIT = Contract(
    Tag.OPERATIONS,
    "List administrative acts",
    "Lists who created and revoked keys, changed functions, secrets, environments and egress rules, purged sessions, "
    "moved or purged the objects of owners, "
    "made or restored backups, and migrated the schema: what, when and from where, newest first. Entries are kept for "
    "AUDIT_RETENTION_DAYS. They never have scripts, params or results.",
    parameters=(LIMIT, CURSOR),
    errors=(StorageUnavailable,),
    headers=(LINK,),
    examples=(
        ApiExample(
            "acts",
            "The newest acts",
            parameters={"limit": 20},
            response={
                "acts": [
                    {
                        "act_id": "01a2101f-a3da-7b64-8000-000000000003",
                        "at": "2026-11-25T12:00:01.000000Z",
                        "actor": "alice",
                        "origin": "192.0.2.7",
                        "act": "functions.put",
                        "owner": "alice",
                        "subject": "python-adder",
                        "details": {"version": 1},
                    }
                ],
                "next_cursor": None,
            },
        ),
    ),
    links=(Link("list_acts", "Read the next page.", {"query.cursor": "$response.body#/next_cursor"}),),
)

_REPORT = {
    "owner": "alice",
    "quotas": [
        {"limit": "live_sessions", "observed": 7, "allowed": 50},
        {"limit": "stored_bytes", "observed": 20480, "allowed": None},
        {"limit": "functions", "observed": 2, "allowed": None},
        {"limit": "function_bytes", "observed": 4096, "allowed": None},
        {"limit": "concurrent_calls", "observed": 1, "allowed": 16},
        {"limit": "queued_executions", "observed": 3, "allowed": 10000},
        {"limit": "schedules", "observed": 2, "allowed": 100},
        {"limit": "webhooks", "observed": 1, "allowed": 20},
        {"limit": "stored_file_bytes", "observed": 65536, "allowed": 1073741824},
        {"limit": "secrets", "observed": 3, "allowed": 100},
    ],
    "rates": [{"policy": "execute", "allowed": 100, "window_seconds": 60, "remaining": 99}],
    "days": [
        {
            "day": "2026-11-25",
            "executions": 1200,
            "failed": 3,
            "unknown": 0,
            "execution_time_ms": 5210.5,
            "cpu_time_ms": 3120.25,
            "connections": 12,
            "sent_bytes": 10_800,
            "received_bytes": 61_440,
        }
    ],
    "complete": True,
}

USAGE = Contract(
    Tag.OPERATIONS,
    "Read the usage of owners",
    "Reports what the caller has stored, executed and left of its limits. Executions are counted in the background, by "
    "the day of their admission, for as long as the history is kept: counted_until says how far. A purge does not "
    "change them. An admin may read another owner's usage, or that of all owners that have sessions, functions, "
    "schedules, webhooks or counted executions. One call examines at most 50,000 sessions, and as many functions and "
    "queued executions, of each owner an equal part, and at most 10,000.",
    parameters=(
        evolve(OWNER, description="For admins: the owner; * lists all owners. The default is the caller itself."),
        LIMIT,
        CURSOR,
    ),
    errors=(ScopeMissing, StorageUnavailable),
    headers=(LINK,),
    examples=(
        ApiExample(
            "own",
            "The caller's own usage",
            response={"owners": [_REPORT], "counted_until": "2026-11-25T12:00:00.000000Z", "next_cursor": None},
        ),
        ApiExample(
            "all",
            "The usage of all owners, for an admin",
            parameters={"owner": "*", "limit": 20},
            response={"owners": [_REPORT], "counted_until": "2026-11-25T12:00:00.000000Z", "next_cursor": None},
        ),
    ),
    links=(
        Link("list_usage", "Read the next page.", {"query.cursor": "$response.body#/next_cursor", "query.owner": "*"}),
    ),
)
