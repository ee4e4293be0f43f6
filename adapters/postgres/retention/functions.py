"""Removes functions and versions that no session uses."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from attrs import frozen

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.administration import CleanupStatements
from domain.clock import Clock

_PINNING_MAX = timedelta(hours=1)
"""This long after a call has found a version, it may still pin a session to it (with a wide margin)."""

_DEACTIVATED_KEPT = timedelta(days=30)
"""A deactivated function can be registered or rolled back again for so long; its versions continue then."""

_DEACTIVATED_MAX = 100
"""Deactivated functions of an owner, which its quotas do not count, that are kept for so long: the last ones."""

Pinned = Sequence[tuple[UUID, int]]
"""Functions and versions that sessions in other buckets are pinned to."""


@frozen
class FunctionRetention:
    """Batches of a cleanup; each returns how many it has removed."""

    _gateway: Gateway
    _statements: CleanupStatements
    _clock: Clock
    _versions_kept: int

    async def remove_deactivated(self, pinned: Pinned, rows_max: int) -> int:
        """Remove functions that were deactivated long ago, or are too many, unless sessions are pinned to them."""
        now = self._clock.now()
        ((removed,),) = await self._gateway.fetch(
            self._statements.delete_deactivated_functions,
            {
                "deactivated_before": now - _DEACTIVATED_KEPT,
                "unpinnable_before": now - _PINNING_MAX,
                "kept_max": _DEACTIVATED_MAX,
                "pinned_functions": codec.uuids({function_id for function_id, _ in pinned}),
                "rows_max": rows_max,
            },
        )
        return int(removed)

    async def remove_old_versions(self, pinned: Pinned, rows_max: int) -> int:
        """Remove versions that are not among the newest ones, unless sessions are or may become pinned to them."""
        ((removed,),) = await self._gateway.fetch(
            self._statements.delete_old_versions,
            {
                "versions_kept": self._versions_kept,
                "left_before": self._clock.now() - _PINNING_MAX,
                "pinned_functions": codec.uuids(function_id for function_id, _ in pinned),
                "pinned_versions": codec.numbers(version for _, version in pinned),
                "rows_max": rows_max,
            },
        )
        return int(removed)
