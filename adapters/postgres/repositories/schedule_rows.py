"""Schedules and firings as parameters of statements and as rows."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from adapters.postgres.asked_files import asked_of, files_facts
from domain.identity import Owner
from domain.json_text import JsonText
from domain.queue.entry import AcceptOptions, RetryCause, RetryPolicy
from domain.schedules.firing import Firing, FiringState
from domain.schedules.plan import CatchUp, FunctionTarget, Overlap, SchedulePlan, SessionTarget, Target
from domain.schedules.schedule import EndReason, Schedule
from domain.schedules.timing import Cron, Interval, Once, Timing


def plan_columns(plan: SchedulePlan) -> dict[str, Any]:
    """Return the parameters that store a plan."""
    target = plan.target
    return {
        "name": plan.name,
        "session_id": target.session_id if isinstance(target, SessionTarget) else None,
        "function_name": target.name if isinstance(target, FunctionTarget) else None,
        "params": plan.params,
        **_timing_columns(plan.timing),
        "jitter_s": plan.jitter_s,
        "catch_up": plan.catch_up,
        "overlap": plan.overlap,
        "expires_in": plan.expires_in,
        "options": _options_text(plan.options),
    }


def schedule_of(row: Sequence[Any]) -> Schedule:
    """Return the schedule in a row."""
    schedule_id, owner, name, session_id, function_name, params, *timing_and_rest = row
    cron, zone, interval_s, run_at, *rest = timing_and_rest
    jitter_s, catch_up, overlap, expires_in, options, *progress = rest
    anchor_at, settled_at, next_at, paused, end_reason, last_execution, version = progress
    plan = SchedulePlan(
        name,
        _target(session_id, function_name),
        _timing(cron, zone, interval_s, run_at),
        JsonText(params),
        jitter_s,
        CatchUp(catch_up),
        Overlap(overlap),
        expires_in,
        _options(options),
    )
    ended = end_reason and EndReason(end_reason)
    times = anchor_at, settled_at, next_at
    return Schedule(schedule_id, Owner(owner), plan, *times, paused, ended, last_execution, version)


def firing_of(row: Sequence[Any]) -> Firing:
    """Return the firing in a row."""
    due_at, last_due_at, due_times, state, *rest = row
    return Firing(due_at, last_due_at, due_times, FiringState(state), *rest)


def _timing_columns(timing: Timing) -> dict[str, Any]:
    columns = dict.fromkeys(("cron", "zone", "interval_s", "run_at"))
    match timing:
        case Cron(expression, zone):
            return columns | {"cron": expression, "zone": zone}
        case Interval(seconds):
            return columns | {"interval_s": seconds}
        case Once(at):
            return columns | {"run_at": at}


def _timing(cron: str | None, zone: str, interval_s: int | None, run_at: datetime) -> Timing:
    if cron is not None:
        return Cron(cron, zone)
    return Once(run_at) if interval_s is None else Interval(interval_s)


def _target(session_id: UUID | None, function_name: str) -> Target:
    return FunctionTarget(function_name) if session_id is None else SessionTarget(session_id)


def _options_text(options: AcceptOptions) -> str:
    retry = options.retry
    facts = {
        "priority_s": options.priority_s,
        "retry": {"attempts_max": retry.attempts_max, "causes": sorted(retry.causes)},
        "webhook_id": options.webhook_id and str(options.webhook_id),
    }
    return json.dumps(facts if options.files is None else {**facts, "files": files_facts(options.files)})


def _options(text: str) -> AcceptOptions:
    facts = json.loads(text)
    retry = RetryPolicy(facts["retry"]["attempts_max"], frozenset(map(RetryCause, facts["retry"]["causes"])))
    webhook_id = facts["webhook_id"]
    files = asked_of(facts["files"]) if "files" in facts else None
    return AcceptOptions(facts["priority_s"], retry, webhook_id=webhook_id and UUID(webhook_id), files=files)
