"""The types of the fields of schedules, with their descriptions."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from domain.schedules import timing
from domain.schedules.firing import FiringState
from domain.schedules.plan import NAME_SIZE_MAX, CatchUp, Overlap
from domain.schedules.schedule import UPCOMING, EndReason
from domain.scripts.language import PINNED_PATTERN, PINNED_SIZE_MAX
from entrypoints.http.schemas import fields
from entrypoints.http.schemas.asynchronous import RetryBody

Name = Annotated[
    str, Meta(min_length=1, max_length=NAME_SIZE_MAX, description="A text of the caller, such as nightly.")
]
FunctionName = Annotated[
    str,
    Meta(
        pattern=PINNED_PATTERN,
        max_length=PINNED_SIZE_MAX,
        description="The function to call by its name: the caller's own, or else the shared one. @ and a number at its "
        "end name a version.",
    ),
]
CronField = Annotated[
    str,
    Meta(
        max_length=timing.EXPRESSION_SIZE_MAX,
        description="A cron expression with five fields: minute, hour, day of month, month, day of week. Each local "
        "time fires once: one that a change of the clock leaves out fires after the gap, and one that occurs twice "
        "fires the first time.",
    ),
]
TimeZone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=timing.ZONE_SIZE_MAX,
        description="The time zone of cron by its name in the IANA database; the default is UTC.",
    ),
]
IntervalSeconds = Annotated[
    int,
    Meta(
        ge=timing.INTERVAL_MIN_S,
        le=timing.INTERVAL_MAX_S,
        description="Seconds between due times, by elapsed time, from when this timing was set.",
    ),
]
RunAt = Annotated[datetime, Meta(tz=True, description="The only due time, with an offset; it must be in the future.")]
JitterSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=timing.JITTER_MAX_S,
        description="Each due time is later by a part of this, which is always the same for one schedule.",
    ),
]
CatchUpField = Annotated[
    CatchUp,
    Meta(
        description="What becomes of due times that no server has settled in time. skip: they are missed, unless the "
        "last one was due within the last 60 seconds. once: the last one fires. all: the last 100 fire."
    ),
]
OverlapField = Annotated[
    Overlap,
    Meta(
        description="What becomes of a due time while the execution before is queued or running. skip: it is skipped. "
        "queue: it waits for its turn. allow: both run."
    ),
]
Retry = Annotated[RetryBody | None, Meta(description="When another attempt is made; null for never, the default.")]
CallbackField = Annotated[
    UUID | None, Meta(description="The webhook to which each end is reported; null for none, the default.")
]
ScheduleId = Annotated[UUID, Meta(description="The id of the schedule.")]
ScheduleVersion = Annotated[int, Meta(ge=1, description="Increases with each change. Quoted, it is the ETag.")]
Paused = Annotated[bool, Meta(description="Whether it is paused.")]
NextTimes = Annotated[list[fields.Instant], Meta(max_length=UPCOMING, description="The next due times, at most five.")]
EndReasonField = Annotated[
    EndReason | None,
    Meta(
        description="Why it is never due again. session_ended: its session was closed, has expired or is gone. "
        "timing_unknown: this server does not know its time zone. Null if it has not ended for such a reason."
    ),
]
LastExecution = Annotated[
    UUID | None, Meta(description="The newest execution that a due time has started; null before the first one.")
]
DueAt = Annotated[fields.Instant, Meta(description="The due time; of several that were missed together the first.")]
LastDueAt = Annotated[fields.Instant, Meta(description="The last of them.")]
DueTimesCount = Annotated[
    int, Meta(ge=1, description="How many due times these are. Those of a pause are counted up to 500.")
]
FiringStateField = Annotated[
    FiringState,
    Meta(
        description="fired: an execution was accepted. missed: none was. skipped: the schedule was paused, or the "
        "execution before was queued or running, so none was wanted."
    ),
]
SettledAt = Annotated[fields.Instant, Meta(description="When that was decided.")]
Reason = Annotated[
    str | None,
    Meta(
        description="Why it did not fire. late: no server has settled it in time. overlap: the execution before was "
        "queued or running. paused: the schedule was paused. changed: its timing was changed before. Otherwise the "
        "code of an error. Null if it fired."
    ),
]
FiringExecution = Annotated[UUID | None, Meta(description="The execution that was accepted; null if none was.")]
Manual = Annotated[bool, Meta(description="Whether a call has started it, without a due time.")]
