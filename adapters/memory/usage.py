"""What owners have executed, in memory."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.memory.store import MemoryStore
from adapters.memory.webhooks import MemoryWebhookStore
from domain.egress.traffic import ExecutionTraffic
from domain.executions.execution import Execution
from domain.identity import EVERY_OWNER, Owner, uuid7_at, uuid7_time
from domain.scripts.report import ExecutionStatus
from domain.usage import ExecutionCounts, UsedDay


@define(eq=False)
class MemoryExecutionCounts(ExecutionCounts):
    """Counts the history of the fake repositories when `count` is called."""

    _store: MemoryStore
    _webhooks: MemoryWebhookStore = field(factory=MemoryWebhookStore)
    _until: datetime | None = field(default=None, init=False)
    _counted: dict[UUID, Execution] = field(factory=dict, init=False)

    def count(self, until: datetime) -> None:
        """Count the executions that were admitted until then, up to the oldest one that has not ended.

        Those that were accepted to run later count if they have ended.
        """
        accepted = self._store.accepted
        bound = min((uuid7_at(until, 0), *(each for each in self._store.open_executions if each not in accepted)))
        self._until = uuid7_time(bound)
        for execution_id, execution in self._store.history.items():
            if _has_run(execution) if execution_id in accepted else execution_id < bound:
                self._counted.setdefault(execution_id, execution)

    @override
    async def counted_until(self, owner: Owner = EVERY_OWNER) -> datetime | None:
        self._store.require_available()
        return self._until

    @override
    async def days(self, owners: Sequence[Owner], since: date) -> Sequence[Sequence[UsedDay]]:
        self._store.require_available()
        return [[day for day in self._days(owner) if day.day >= since] for owner in owners]

    @override
    async def owners(self, after: Owner, size: int) -> Sequence[Owner]:
        self._store.require_available()
        found = {session.ref.owner for session in self._store.sessions.values()}
        found |= {owner for owner, _ in self._store.functions}
        found |= {each.owner for each in self._store.schedules.values()}
        found |= {each.owner for each in self._webhooks.webhooks.values()}
        found |= {execution.ref.owner for execution in self._counted.values()}
        return sorted((owner for owner in found if _collated(owner) > _collated(after)), key=_collated)[:size]

    @override
    async def in_order(self, owners: Sequence[Owner]) -> Sequence[Owner]:
        self._store.require_available()
        return sorted(owners, key=_collated)

    def _days(self, owner: Owner) -> Iterable[UsedDay]:
        own = [each for each in self._counted.values() if each.ref.owner == owner]
        for day in sorted({_day(each) for each in own}):
            executions = [each for each in own if _day(each) == day]
            traffic = [
                self._store.traffic[each.execution_id]
                for each in executions
                if each.execution_id in self._store.traffic
            ]
            yield _used(day, executions, traffic)


def _collated(owner: Owner) -> tuple[str, str]:
    """Return by what to sort: as the collation of many languages does, capitals are beside small letters."""
    return owner.casefold(), owner


def _has_run(execution: Execution) -> bool:
    return execution.execution_count is not None or execution.status is ExecutionStatus.UNKNOWN


def _used(day: date, executions: Sequence[Execution], traffic: Sequence[ExecutionTraffic]) -> UsedDay:
    return UsedDay(
        day,
        len(executions),
        sum(each.status is ExecutionStatus.FAILED for each in executions),
        sum(each.status is ExecutionStatus.UNKNOWN for each in executions),
        _sum(executions, lambda each: each.execution_time_ms),
        _sum(executions, lambda each: each.cpu_time_ms),
        sum(each.connections for each in traffic),
        sum(each.sent_bytes for each in traffic),
        sum(each.received_bytes for each in traffic),
    )


def _sum(executions: Sequence[Execution], value: Callable[[Execution], float | None]) -> float:
    return sum((value(each) or 0.0 for each in executions), 0.0)


def _day(execution: Execution) -> date:
    return uuid7_time(execution.execution_id).date()
