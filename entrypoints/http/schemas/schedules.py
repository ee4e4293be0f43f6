"""Bodies of schedules."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

from attrs import evolve
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from domain.files.asked import AskedFiles
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.queue.entry import AcceptOptions, RetryPolicy
from domain.schedules import timing
from domain.schedules.firing import Firing
from domain.schedules.plan import FunctionTarget, SchedulePlan, SessionTarget, Target
from domain.schedules.service import ScheduleView
from entrypoints.http.response import embedded
from entrypoints.http.schemas import fields
from entrypoints.http.schemas.asynchronous import Causes, ExpiresIn, MaxAttempts, Priority, RetryBody
from entrypoints.http.schemas.files import CollectField
from entrypoints.http.schemas.schedule_fields import (
    CallbackField,
    CatchUpField,
    CronField,
    DueAt,
    DueTimesCount,
    EndReasonField,
    FiringExecution,
    FiringStateField,
    FunctionName,
    IntervalSeconds,
    JitterSeconds,
    LastDueAt,
    LastExecution,
    Manual,
    Name,
    NextTimes,
    OverlapField,
    Paused,
    Reason,
    Retry,
    RunAt,
    ScheduleId,
    ScheduleVersion,
    SettledAt,
    TimeZone,
)


class ScheduleFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a schedule executes, when and how."""

    name: Name | UnsetType = UNSET
    request_id: fields.RequestId | UnsetType = UNSET
    function: FunctionName | UnsetType = UNSET
    params: fields.Params | UnsetType = UNSET
    cron: CronField | UnsetType = UNSET
    time_zone: TimeZone | UnsetType = UNSET
    interval_seconds: IntervalSeconds | UnsetType = UNSET
    run_at: RunAt | UnsetType = UNSET
    jitter_seconds: JitterSeconds | UnsetType = UNSET
    catch_up: CatchUpField | UnsetType = UNSET
    overlap: OverlapField | UnsetType = UNSET
    expires_in_seconds: ExpiresIn | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    retry: Retry | UnsetType = UNSET
    callback: CallbackField | UnsetType = UNSET
    collect: CollectField | UnsetType = UNSET

    @property
    def target(self) -> Target | None:
        """What to execute; None if the body does not say."""
        if self.function is not UNSET:
            return FunctionTarget(self.function)
        return None if self.request_id is UNSET else SessionTarget(self.request_id)

    def timing(self, before: timing.Timing | None = None) -> timing.Timing | None:
        """Return when it is due; None if the body does not say. A zone alone moves the expression of `before`.

        Raises TimingRefused if there is no expression to move.
        """
        if self.interval_seconds is not UNSET:
            return timing.Interval(self.interval_seconds)
        if self.run_at is not UNSET:
            return timing.Once(self.run_at.astimezone(UTC))
        kept = before if isinstance(before, timing.Cron) else None
        zone = (kept.zone if kept else "UTC") if self.time_zone is UNSET else self.time_zone
        if self.cron is not UNSET:
            return timing.Cron(self.cron, zone)
        if kept is not None:
            return timing.Cron(kept.expression, zone)
        if self.time_zone is not UNSET and before is not None:
            raise timing.TimingRefused(
                "a time zone is of use only with a cron expression. Omit time_zone, or give cron."
            )
        return None

    def applied(self, plan: SchedulePlan) -> SchedulePlan:
        """Return the plan with the given fields."""
        changed: dict[str, Any] = {
            "name": self.name,
            "target": self.target or UNSET,
            "timing": self.timing(plan.timing) or UNSET,
            "params": UNSET if self.params is UNSET else JsonText(str(self.params, "utf-8")),
            "jitter_s": self.jitter_seconds,
            "catch_up": self.catch_up,
            "overlap": self.overlap,
            "options": self._options(plan.options),
        }
        if self.expires_in_seconds is not UNSET:
            changed["expires_in"] = timedelta(seconds=self.expires_in_seconds)
        return evolve(plan, **{name: value for name, value in changed.items() if value is not UNSET})

    def plan(self) -> SchedulePlan:
        """Return what the body asks for; only for a body that keeps the rules."""
        name, target, due = self.name, self.target, self.timing()
        assert name is not UNSET, "the rules require it"
        assert target is not None, "the rules require it"
        assert due is not None, "the rules require it"
        return self.applied(SchedulePlan(name, target, due, EMPTY_OBJECT))

    def _options(self, options: AcceptOptions) -> AcceptOptions:
        return AcceptOptions(
            options.priority_s if self.priority is UNSET else self.priority,
            options.retry if self.retry is UNSET else _policy(self.retry),
            webhook_id=options.webhook_id if self.callback is UNSET else self.callback,
            files=options.files if self.collect is UNSET else _files(self.collect),
        )


def _policy(body: RetryBody | None) -> RetryPolicy:
    return RetryPolicy() if body is None else RetryPolicy(body.max_attempts, frozenset(body.on))


def _files(collect: bool | list[str]) -> AskedFiles | None:
    """Return what is asked for by `collect`; None if that is nothing."""
    return None if collect is False else AskedFiles(collect=tuple(collect) if isinstance(collect, list) else collect)


class ScheduleBody(ScheduleFields, forbid_unknown_fields=True, kw_only=True):
    """A schedule to create: one of `request_id` and `function`, and one of `cron`, `interval_seconds` and `run_at`."""

    name: Name


class SchedulePatch(ScheduleFields, forbid_unknown_fields=True, kw_only=True):
    """The fields of a schedule to replace."""


class RetryResponse(Struct):
    """When another attempt is made."""

    max_attempts: MaxAttempts
    on: Causes


class ScheduleResponse(Struct, kw_only=True):
    """A schedule."""

    schedule_id: ScheduleId
    name: Name
    user_id: Annotated[str, Meta(description="The account to which the schedule belongs.")]
    request_id: Annotated[UUID | None, Meta(description="The session; null if it calls a function.")]
    function: Annotated[str | None, Meta(description="The function; null if it executes a session.")]
    params: fields.Params
    cron: Annotated[str | None, Meta(description="The cron expression; null for another timing.")]
    time_zone: Annotated[str | None, Meta(description="The time zone of cron; null for another timing.")]
    interval_seconds: Annotated[int | None, Meta(description="Seconds between due times; null for another timing.")]
    run_at: Annotated[fields.Instant | None, Meta(description="The only due time; null for another timing.")]
    jitter_seconds: JitterSeconds
    catch_up: CatchUpField
    overlap: OverlapField
    expires_in_seconds: ExpiresIn
    priority: Priority
    retry: Annotated[RetryResponse | None, Meta(description="When another attempt is made; null if none is.")]
    callback: CallbackField
    collect: CollectField
    paused: Paused
    end_reason: EndReasonField
    next_times: NextTimes
    last_execution_id: LastExecution
    created_at: Annotated[fields.Instant, Meta(description="When the schedule was created.")]
    version: ScheduleVersion

    @classmethod
    def of(cls, view: ScheduleView) -> "ScheduleResponse":
        """Return the body of a schedule."""
        stored = view.schedule
        plan, due, target = stored.plan, stored.plan.timing, stored.plan.target
        retry, files = plan.options.retry, plan.options.files
        collect = False if files is None else files.collect
        return cls(
            schedule_id=stored.schedule_id,
            name=plan.name,
            user_id=stored.owner,
            request_id=target.session_id if isinstance(target, SessionTarget) else None,
            function=target.name if isinstance(target, FunctionTarget) else None,
            params=embedded(plan.params),
            cron=due.expression if isinstance(due, timing.Cron) else None,
            time_zone=due.zone if isinstance(due, timing.Cron) else None,
            interval_seconds=due.seconds if isinstance(due, timing.Interval) else None,
            run_at=due.at if isinstance(due, timing.Once) else None,
            jitter_seconds=plan.jitter_s,
            catch_up=plan.catch_up,
            overlap=plan.overlap,
            expires_in_seconds=int(plan.expires_in.total_seconds()),
            priority=plan.options.priority_s,
            retry=RetryResponse(retry.attempts_max, sorted(retry.causes)) if retry.causes else None,
            callback=plan.options.webhook_id,
            collect=list(collect) if isinstance(collect, tuple) else collect,
            paused=stored.paused,
            end_reason=stored.end_reason,
            next_times=list(view.upcoming),
            last_execution_id=stored.last_execution,
            created_at=stored.created_at,
            version=stored.version,
        )


class SchedulePage(Struct):
    """A page of schedules; `next_cursor` is null on the last page."""

    schedules: Annotated[list[ScheduleResponse], Meta(description="The schedules of this page, newest first.")]
    next_cursor: fields.NextCursor


class FiringResponse(Struct, kw_only=True):
    """What became of a due time, or of several that were missed together."""

    due_at: DueAt
    last_due_at: LastDueAt
    due_times: DueTimesCount
    state: FiringStateField
    settled_at: SettledAt
    reason: Reason
    execution_id: FiringExecution
    manual: Manual

    @classmethod
    def of(cls, firing: Firing) -> "FiringResponse":
        """Return the body of a firing."""
        return cls(**{each.name: getattr(firing, each.name) for each in structs.fields(cls)})


class FiringList(Struct):
    """The newest firings of a schedule, and the instant before which the next ones are due; null for no more."""

    TIED_MAX: ClassVar[int] = 2
    """So many firings beyond a page tell whether it is the last one."""

    firings: Annotated[list[FiringResponse], Meta(description="Newest due time first. About 200 are kept.")]
    next_before: Annotated[fields.Instant | None, Meta(description="`before` of the next call; null if there is none.")]

    @classmethod
    def of(cls, found: Sequence[Firing], size: int) -> "FiringList":
        """Return the body of at most `size` firings of those found, or one more that has the instant of the last one.

        A run by hand may have the instant of a due time, and the next page begins before that instant.
        """
        is_tied = len(found) > size and found[size].due_at == found[size - 1].due_at
        shown = found[: size + is_tied]
        is_last = len(found) == len(shown)
        return cls([FiringResponse.of(each) for each in shown], None if is_last else shown[-1].due_at)
