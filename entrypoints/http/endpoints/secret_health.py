"""The health of secrets: which keys this process has, and whether executions have got their secrets."""

from collections.abc import Mapping, Sequence

from attrs import define

from domain.secrets.values import SecretValues


@define(eq=False)
class SecretHealth:
    """Reads what this process knows. All controllers must show the same keys, the one that seals first."""

    _values: SecretValues
    _key_ids: Sequence[str]

    async def probe(self) -> Mapping[str, object]:
        """Return the facts; "degraded" if a secret did not open within the last ten minutes."""
        facts = {"key_ids": list(self._key_ids)}
        reason = self._values.unopened_reason
        return {"status": "ok", **facts} if reason is None else {"status": "degraded", "reason": reason, **facts}
