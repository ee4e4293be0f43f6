"""The contracts of the routes for operators."""

from domain.errors import StorageUnavailable
from entrypoints.http.contract import ApiExample, Contract, Link, Tag
from entrypoints.http.openapi.parameters import CURSOR, LIMIT, LINK
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
            response={"status": "ok", "version": "0.1.0", "draining": False, "components": _POSTGRES},
        ),
    ),
)

AUDIT = Contract(
    Tag.OPERATIONS,
    "List administrative acts",
    "Lists who created and revoked keys, changed functions, moved the objects of owners and migrated the schema: what, "
    "when and from where, newest first. Entries are kept for AUDIT_RETENTION_DAYS. They never have scripts, params or "
    "results.",
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
