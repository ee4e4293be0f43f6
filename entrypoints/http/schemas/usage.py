"""Bodies of the usage of owners."""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain import usage
from domain.limits.rate import RatePolicy
from entrypoints.http.schemas import fields

QuotaName = Literal[
    "live_sessions",
    "stored_bytes",
    "functions",
    "function_bytes",
    "concurrent_calls",
    "queued_executions",
    "schedules",
    "webhooks",
    "stored_file_bytes",
    "secrets",
]
_Count = Annotated[int, Meta(ge=0)]


class QuotaResponse(Struct):
    """What the owner has of a quota."""

    limit: Annotated[QuotaName, Meta(description="The name of the quota, as in the details of RATE_LIMITED.")]
    observed: Annotated[_Count, Meta(description="How much the owner has.")]
    allowed: Annotated[int | None, Meta(description="How much the owner may have; null if it is not limited.")]


class RateResponse(Struct):
    """What the owner has left of a rate."""

    policy: Annotated[str, Meta(description="The class of calls.")]
    allowed: Annotated[int, Meta(description="Number of calls in a window.", ge=1)]
    window_seconds: Annotated[int, Meta(description="Length of the window in seconds.", ge=1)]
    remaining: Annotated[_Count, Meta(description="Calls that are left, as all controllers last reported them.")]

    @classmethod
    def of(cls, policy: RatePolicy, remaining: int) -> "RateResponse":
        """Return the body for a policy."""
        return cls(policy.name, policy.count, policy.window_s, remaining)


class UsedDayResponse(Struct):
    """The executions of one day that have been counted."""

    day: Annotated[dt.date, Meta(description="The day, in UTC, on which the executions were admitted.")]
    executions: Annotated[_Count, Meta(description="Number of executions, whatever their outcome.")]
    failed: Annotated[_Count, Meta(description="Number of those that failed.")]
    unknown: Annotated[_Count, Meta(description="Number of those whose end was not recorded.")]
    execution_time_ms: Annotated[float, Meta(description="Sum of their wall times in milliseconds.", ge=0)]
    cpu_time_ms: Annotated[
        float, Meta(description="Sum of their CPU times in milliseconds, as far as runtimes report them.", ge=0)
    ]
    connections: Annotated[_Count, Meta(description="Connections of scripts to hosts, of executions that ended then.")]
    sent_bytes: Annotated[_Count, Meta(description="Bytes that these have sent.")]
    received_bytes: Annotated[_Count, Meta(description="Bytes that these have received.")]

    @classmethod
    def of(cls, day: usage.UsedDay) -> "UsedDayResponse":
        """Return the body of a day. Executions have times in microseconds; a sum of floats has more digits."""
        times_ms = (round(day.execution_time_ms, 3), round(day.cpu_time_ms, 3))
        used = day.connections, day.sent_bytes, day.received_bytes
        return cls(day.day, day.executions, day.failed, day.unknown, *times_ms, *used)


class OwnerUsageResponse(Struct):
    """The usage of one owner."""

    owner: Annotated[str, Meta(description="The owner.")]
    quotas: Annotated[list[QuotaResponse], Meta(description="Each quota, also one that is not limited.")]
    rates: Annotated[list[RateResponse], Meta(description="Each rate that RATE_LIMITS sets.")]
    days: Annotated[list[UsedDayResponse], Meta(description="Days with executions, the oldest first.")]
    complete: Annotated[
        bool,
        Meta(
            description="False if the owner may have more sessions, functions or queued executions than one call reads."
        ),
    ]

    @classmethod
    def of(cls, report: usage.OwnerReport) -> "OwnerUsageResponse":
        """Return the body of a report."""
        return cls(
            report.owner,
            [QuotaResponse(use.limit, use.observed, use.allowed) for use in report.quotas],  # type: ignore[arg-type]  # the names of quotas
            [RateResponse.of(policy, remaining) for policy, remaining in report.rates],
            [UsedDayResponse.of(day) for day in report.days],
            report.complete,
        )


class UsageList(Struct):
    """The usage of owners; `next_cursor` is null on the last page."""

    owners: Annotated[
        list[OwnerUsageResponse], Meta(description="The owners of this page, in the order of their names.")
    ]
    counted_until: Annotated[
        fields.Instant | None,
        Meta(
            description="All executions that were admitted until this instant have been counted, and no later one; "
            "null before the first count."
        ),
    ]
    next_cursor: fields.NextCursor

    @classmethod
    def of(cls, page: usage.UsagePage, following: str | None) -> "UsageList":
        """Return the body of a page."""
        return cls([OwnerUsageResponse.of(report) for report in page.reports], page.counted_until, following)
