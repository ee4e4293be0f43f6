"""Schedules in PostgreSQL."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.codec import partition_of
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.queue_statements import options_text
from adapters.postgres.repositories.schedule_rows import firing_of, plan_columns, schedule_of
from adapters.postgres.statements.queue import ScheduleStatements
from domain.audit import Act
from domain.errors import QuotaReached
from domain.idempotency import IdempotencyKey
from domain.identity import Owner
from domain.paging import Page
from domain.queue.entry import ATTEMPTS_MAX
from domain.schedules.firing import Firing, ScheduleStep
from domain.schedules.plan import Overlap
from domain.schedules.ports import DueSchedules, Fire, FireResult, ScheduleRepository
from domain.schedules.schedule import EndReason, Schedule, ScheduleConflict, ScheduleNotFound
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound


@frozen
class ScheduleRepositoryOptions:
    """How many firings of a schedule are kept, and how often an update is repeated that has lost a race.

    A look at due schedules examines the longest due ones, at most `examined_max`.
    """

    history_max: int = 200
    races_max: int = 20
    race_pause_s: float = 0.02
    examined_max: int = 2000


_DEFAULTS = ScheduleRepositoryOptions()


class PostgresScheduleRepository(ScheduleRepository):
    """Stores schedules in `meta.schedules`, and their firings in `meta.schedule_firings`."""

    def __init__(
        self, gateway: Gateway, statements: ScheduleStatements, options: ScheduleRepositoryOptions = _DEFAULTS
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._options = options

    @override
    async def add(self, schedule: Schedule, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        columns = {**_identity(schedule), **plan_columns(schedule.plan), **_progress(schedule)}
        rows = await self._gateway.fetch(
            self._statements.insert_schedule,
            {
                **columns,
                "settled_at": schedule.settled_at,
                "key": key and key.value,
                "payload_hash": key and key.payload_hash,
                "owner_max": owner_max,
                **codec.act_columns(act),
            },
        )
        is_stored, is_keyed, held, is_found, closed_at = rows[0]
        if is_stored or is_keyed:
            return bool(is_stored)
        _require_open(is_found, closed_at)
        if held >= owner_max:
            raise QuotaReached("schedules", owner_max, held)
        return False  # the statement could not see the schedule that has the key

    @override
    async def created(self, owner: Owner, key: IdempotencyKey) -> Schedule | None:
        rows = await self._gateway.fetch(self._statements.select_keyed_schedule, {"owner": owner, "key": key.value})
        for payload_hash, *row in rows:
            key.require_payload(payload_hash, None)
            return schedule_of(row)
        return None

    @override
    async def find(self, owner: Owner, schedule_id: UUID) -> Schedule:
        rows = await self._gateway.fetch(self._statements.select_schedule, {"owner": owner, "schedule_id": schedule_id})
        if not rows:
            raise ScheduleNotFound
        return schedule_of(rows[0])

    @override
    async def update(
        self, owner: Owner, schedule_id: UUID, change: Callable[[Schedule], Schedule], act: Act
    ) -> Schedule:
        for _ in range(self._options.races_max):
            read = await self.find(owner, schedule_id)
            changed = change(read)
            if changed is read or await self._written(read, changed, act):
                return changed
            pause_s = self._options.race_pause_s
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311  # keeps the losers of one race apart
        raise ScheduleConflict

    @override
    async def remove(self, owner: Owner, schedule_id: UUID, act: Act, version: int | None = None) -> None:
        rows = await self._gateway.fetch(
            self._statements.delete_schedule,
            {"owner": owner, "schedule_id": schedule_id, "version_read": version, **codec.act_columns(act)},
            repeatable=False,
        )
        if not rows:
            await self.find(owner, schedule_id)
            raise ScheduleConflict

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Schedule]:
        rows = await self._gateway.fetch(
            self._statements.select_schedule_page, {"owner": owner, "after": after, "rows_max": size + 1}
        )
        found = [schedule_of(row) for row in rows[:size]]
        return Page(found, found[-1].schedule_id if len(rows) > size else None)

    @override
    async def firings(self, schedule_id: UUID, before: datetime | None, size: int) -> Sequence[Firing]:
        rows = await self._gateway.fetch(
            self._statements.select_firings, {"schedule_id": schedule_id, "before": before, "rows_max": size}
        )
        return [firing_of(row) for row in rows]

    @override
    async def due(self, now: datetime, size: int, owner_max: int) -> DueSchedules:
        bounds = {"examined_max": self._options.examined_max, "owner_max": owner_max, "rows_max": size}
        rows = await self._gateway.fetch(self._statements.select_due_schedules, {"now": now, **bounds})
        return DueSchedules([schedule_of(row[1:]) for row in rows if row[1] is not None], rows[0][0])

    @override
    async def fire(self, fire: Fire) -> FireResult:
        rows = await self._gateway.fetch(self._statements.fire_schedule, self._fire_columns(fire), repeatable=False)
        fate, closed_at, expires_at = rows[0]
        match fate:
            case "absent":
                raise SessionNotFound
            case "closed":
                raise SessionClosed(closed_at)
            case "expired":
                raise SessionExpired(expires_at, fire.entry.accepted_at)
            case _:
                return FireResult(fate)

    @override
    async def settle(
        self, schedule: Schedule, step: ScheduleStep, firings: Sequence[Firing], end_reason: EndReason | None = None
    ) -> bool:
        rows = await self._gateway.fetch(
            self._statements.settle_schedule,
            {
                **_as_read(schedule),
                "settled_at": step.settled_at,
                "next_at": None if end_reason else step.next_at,
                "end_reason": end_reason,
                "due_ats": codec.instants(each.due_at for each in firings),
                "last_due_ats": codec.instants(each.last_due_at for each in firings),
                "due_times": codec.numbers(each.due_times for each in firings),
                "states": codec.texts(each.state for each in firings),
                "reasons": codec.texts(each.reason for each in firings),
                "decided_at": max((each.settled_at for each in firings), default=step.settled_at),
                "history_max": self._options.history_max,
            },
            repeatable=False,
        )
        return bool(rows)

    async def _written(self, read: Schedule, changed: Schedule, act: Act) -> bool:
        columns = {**plan_columns(changed.plan), **_progress(changed), **_as_read(read)}
        rows = await self._gateway.fetch(
            self._statements.update_schedule,
            {
                **columns,
                "owner": read.owner,
                "version": changed.version,
                "paused": changed.paused,
                "end_reason": changed.end_reason,
                "last_execution_id": changed.last_execution,
                **codec.act_columns(act),
            },
            repeatable=False,
        )
        is_stored, is_found, closed_at = rows[0]
        if not is_stored and changed.plan.target != read.plan.target:
            _require_open(is_found, closed_at)
        return bool(is_stored)

    def _fire_columns(self, fire: Fire) -> dict[str, object]:
        schedule, step, entry = fire.schedule, fire.step, fire.entry
        missed, key = None if step is None else step.missed, entry.idempotency_key
        is_alone = step is not None and schedule.plan.overlap is Overlap.SKIP
        return {
            **_as_read(schedule),
            "manual": step is None,
            "alone": is_alone,
            "settled_at": step and step.settled_at,
            "next_at": step and step.next_at,
            "missed_from": missed and missed.first_at,
            "missed_until": missed and missed.last_at,
            "missed_count": missed.count if missed else 0,
            "fired_at": (step and step.fired_at) or entry.accepted_at,
            "history_max": self._options.history_max,
            "attempts_max": ATTEMPTS_MAX,
            "request_id": entry.ref.session_id,
            "owner": entry.ref.owner,
            "key": key and key.value,
            "payload_hash": key and key.payload_hash,
            "execution_id": entry.execution_id,
            "slot": partition_of(entry.execution_id),
            "started_at": entry.accepted_at,
            "allowance": fire.allowance,
            "retention": fire.retention,
            "not_before": entry.window.not_before,
            "start_before": entry.window.expires_at,
            "head_start": timedelta(seconds=entry.options.priority_s),
            "in_order": entry.options.in_order,
            "params": entry.params,
            "options": options_text(entry),
        }


def _require_open(is_found: bool, closed_at: datetime | None) -> None:  # a row of a statement
    if not is_found:
        raise SessionNotFound
    if closed_at is not None:
        raise SessionClosed(closed_at)


def _identity(schedule: Schedule) -> dict[str, Any]:
    return {"schedule_id": schedule.schedule_id, "owner": schedule.owner}


def _progress(schedule: Schedule) -> dict[str, Any]:
    return {"anchor_at": schedule.anchor_at, "next_at": schedule.next_at}


def _as_read(schedule: Schedule) -> dict[str, Any]:
    return {
        "schedule_id": schedule.schedule_id,
        "version_read": schedule.version,
        "next_at_read": schedule.next_at,
    }
