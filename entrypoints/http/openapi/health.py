"""The contracts of the routes that describe the process."""

from entrypoints.http.contract import ApiExample, Contract, Tag
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
