"""Removes old messages to webhooks, ends those that nobody would send, and counts those that wait."""

from uuid import UUID

from attrs import define, field

from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.administration import CleanupStatements
from domain.cleanup import DeliveryStats
from domain.clock import Clock
from domain.identity import NO_ID, uuid7_at
from domain.webhooks.delivery import KEPT_FOR, KEPT_MAX

_TRIMMED_MAX = 100
"""Webhooks whose deliveries one cleanup counts: up to KEPT_MAX entries of an index for each."""

_SETTLED_MAX = 1000
"""Webhooks with deliveries that one statement examines."""

_COUNTED_MAX = 100_000


@define(eq=False)
class DeliveryRetention:
    """Keeps deliveries for KEPT_FOR, and of each webhook the newest KEPT_MAX ones."""

    _gateway: Gateway
    _statements: CleanupStatements
    _clock: Clock
    _kept_max: int = KEPT_MAX
    _after: UUID = field(default=NO_ID, init=False)
    """The webhook that was trimmed last; a cleanup continues behind it."""
    _settled: UUID = field(default=NO_ID, init=False)
    """The webhook whose deliveries were settled last."""

    async def remove_old(self, rows_max: int) -> int:
        """Remove at most `rows_max` deliveries that are too old; return how many. Unsent ones count as dropped."""
        parameters = {"made_before": uuid7_at(self._clock.now() - KEPT_FOR, 0), "rows_max": rows_max}
        ((removed,),) = await self._gateway.fetch(self._statements.delete_old_deliveries, parameters)
        return int(removed)

    async def trim(self, rows_max: int) -> int:
        """Remove deliveries that are too many from the next webhooks; return how many.

        Of each webhook at most `rows_max` are removed.
        """
        parameters = {"after": self._after, "kept_max": self._kept_max, "rows_max": _TRIMMED_MAX}
        found = await self._gateway.fetch(self._statements.select_webhooks_to_trim, parameters)
        self._after = found[-1][0] if len(found) == _TRIMMED_MAX else NO_ID
        removed = 0
        for webhook_id, excess_from in found:
            if excess_from is not None:
                excess = {"webhook_id": webhook_id, "excess_from": excess_from, "rows_max": rows_max}
                ((trimmed,),) = await self._gateway.fetch(self._statements.delete_excess_deliveries, excess)
                removed += trimmed
        return removed

    async def settle(self, rows_max: int) -> int:
        """Remove deliveries of removed webhooks, and end those that wait for disabled ones; return how many.

        Of either at most `rows_max`. The statement that ends an execution may store one while another call disables or
        removes the webhook, and such a call ends a bounded number itself. A webhook that has more is examined again.
        """
        parameters = {"after": self._settled, "turns_max": _SETTLED_MAX, "rows_max": rows_max}
        ((removed, failed, reached),) = await self._gateway.fetch(self._statements.settle_deliveries, parameters)
        has_more = rows_max in {removed, failed}
        self._settled = self._settled if has_more else reached or NO_ID
        return int(max(removed, failed))

    async def stats(self) -> DeliveryStats:
        """Return how much waits, counted up to a bound."""
        (row,) = await self._gateway.fetch(self._statements.select_delivery_facts, {"counted_max": _COUNTED_MAX})
        return DeliveryStats(*row)
