"""What callers are told of the operations that tell about the process."""

from entrypoints.http.contracts.contract import ApiExample, Contract, Tag
from entrypoints.http.payloads.health import Readiness

_POSTGRES = {"postgres": {"status": "ok", "latency_ms": 0.4}}

LIVEZ = Contract(
    Tag.OPERATIONS,
    "Answers as long as the process runs, whatever else is the matter: restart the process if it does not.",
    examples=(ApiExample("alive", "The process runs", answer={"status": "ok"}),),
)

READYZ = Contract(
    Tag.OPERATIONS,
    "Tells whether to send work here: not while the database, its schema or the clock are missing, nor once the "
    "process is about to stop.",
    examples=(
        ApiExample("ready", "Send work", answer={"status": "ready", "draining": False, "components": _POSTGRES}),
    ),
    also={503: Readiness},
)

HEALTH = Contract(
    Tag.OPERATIONS,
    "Describes all parts for people, within a second, whatever state they are in.",
    examples=(
        ApiExample(
            "healthy",
            "All is well",
            answer={"status": "ok", "version": "0.1.0", "draining": False, "components": _POSTGRES},
        ),
    ),
)
