"""What the health summary tells of what is stored."""

from collections.abc import Mapping

from adapters.postgres.retention.history_budget import HistoryBudget, StorageState
from domain.storage.storage import StorageBudget

_LEAST = (
    "STORAGE_MAX_GB cannot be kept: the history is down to the days that are still written, and live sessions are "
    "never removed for it. Raise it, or lower SESSION_RETENTION_SECONDS."
)


def storage_facts(keeper: HistoryBudget) -> Mapping[str, object]:
    """Return the facts as of the latest sweep; before the first one there are none."""
    state, budget = keeper.state, keeper.budget
    if state is None:
        return {"status": "ok", "budget_bytes": budget.size_max_bytes, "measured_at": None}
    return {
        **_status(state, budget),
        "measured_at": state.measured_at,
        "stored_bytes": state.stored.size_bytes,
        "budget_bytes": budget.size_max_bytes,
        "parts_bytes": {part.value: amount.size_bytes for part, amount in state.stored.parts.items()},
        "history_kept_days": state.stored.history_days(state.measured_at),
        "history_retention_days": budget.history_days,
        "shortened": [
            {"day": each.day, "shortened_at": each.shortened_at, "size_bytes": each.size_bytes}
            for each in state.shortened
        ],
    }


def _status(state: StorageState, budget: StorageBudget) -> Mapping[str, object]:
    if state.is_exceeded:
        return {"status": "degraded", "reason": _LEAST}
    if state.shortened:
        return {
            "status": "degraded",
            "reason": (
                f"the history has been shortened by {len(state.shortened)} of its {budget.history_days} days, because "
                "of STORAGE_MAX_GB. Raise that, or lower HISTORY_RETENTION_DAYS to what there is room for."
            ),
        }
    return {"status": "ok"}
