"""The contracts of the routes of schedules."""

from domain.access.principal import ScopeMissing
from domain.errors import FieldTooLarge, QuotaReached, StorageUnavailable
from domain.functions.function import FunctionNotFound, FunctionVersionNotFound
from domain.functions.schema import ParamsRefused, PinnedVersionNotFound, SchemaUnusable
from domain.idempotency import IdempotencyConflict, KeyInterrupted
from domain.queue.entry import CallbackNotFound, ResponsesNotKept
from domain.schedules.schedule import ScheduleConflict, ScheduleElsewhere, ScheduleMismatch, ScheduleNotFound
from domain.schedules.timing import TimingRefused
from domain.scripts.language import InvalidLanguageTitle, LanguageNotServed
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound
from entrypoints.http.contract import ApiExample, Contract, In, Link, Parameter, Tag
from entrypoints.http.openapi.asynchronous import ACCEPTED
from entrypoints.http.openapi.parameters import (
    CURSOR,
    ETAG,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    LIMIT,
    LINK,
    LOCATION,
    OWNER,
    REPLAYED_HEADER,
    SCHEDULE_ID,
)
from entrypoints.http.parsing.queries import Instant

BEFORE = Parameter(
    "before",
    In.QUERY,
    Instant,
    "Only firings that were due before this instant (RFC 3339), as next_before of the previous response.",
    "2026-11-25T12:00:00Z",
)

_NIGHTLY = {
    "name": "nightly",
    "function": "python-adder",
    "params": {"a": 5, "b": 3},
    "cron": "30 2 * * *",
    "time_zone": "Europe/Berlin",
    "jitter_seconds": 300,
    "catch_up": "once",
    "overlap": "skip",
}
_SCHEDULE = {
    "schedule_id": SCHEDULE_ID.example,
    "user_id": "alice",
    "request_id": None,
    "interval_seconds": None,
    "run_at": None,
    "expires_in_seconds": 21_600,
    "priority": 0,
    "retry": None,
    "callback": None,
    "collect": False,
    "paused": False,
    "end_reason": None,
    "next_times": ["2026-11-26T01:32:10.250000Z"],
    "last_execution_id": None,
    "created_at": "2026-11-25T12:00:00.000000Z",
    "version": 1,
} | _NIGHTLY
_FIRING = {
    "due_at": "2026-11-26T01:32:10.250000Z",
    "last_due_at": "2026-11-26T01:32:10.250000Z",
    "due_times": 1,
    "state": "fired",
    "settled_at": "2026-11-26T01:32:10.253000Z",
    "reason": None,
    "execution_id": "01a2101f-a3da-7b64-8000-000000000002",
    "manual": False,
}

_TARGET = (
    InvalidLanguageTitle,
    LanguageNotServed,
    FunctionNotFound,
    FunctionVersionNotFound,
    SessionNotFound,
    SessionExpired,
    SessionClosed,
    ParamsRefused,
    PinnedVersionNotFound,
    SchemaUnusable,
    CallbackNotFound,
)
_CHANGE = (ScheduleNotFound, ScheduleMismatch, ScheduleConflict, StorageUnavailable)
_OF_SCHEDULE = {"schedule_id": "$response.body#/schedule_id"}
_FOLLOWING = (
    Link("get_schedule", "Read the schedule.", _OF_SCHEDULE),
    Link("patch_schedule", "Change the schedule.", _OF_SCHEDULE),
    Link("list_firings", "List what became of its due times.", _OF_SCHEDULE),
    Link("delete_schedule", "Delete the schedule.", _OF_SCHEDULE),
)

CREATE = Contract(
    Tag.SCHEDULES,
    "Create a schedule",
    "Stores a schedule. At each due time the service accepts an execution of a session, or a call of a function by its "
    "name, as if the caller had sent it with `Prefer: respond-async`. Exactly one server fires each due time. A due "
    "time is fired once, or recorded as missed or skipped. The caller needs the scope for the language too. A repeated "
    "call with its Idempotency-Key creates nothing more, and returns the schedule of the first one as it is now. A "
    "schedule has its key until it is deleted.",
    parameters=(IDEMPOTENCY_KEY,),
    headers=(ETAG, LOCATION, REPLAYED_HEADER),
    errors=(
        *_TARGET,
        IdempotencyConflict,
        ScheduleConflict,
        ResponsesNotKept,
        TimingRefused,
        ScopeMissing,
        FieldTooLarge,
        QuotaReached,
        StorageUnavailable,
    ),
    examples=(
        ApiExample("cron", "Each night at half past two", body=_NIGHTLY, response=_SCHEDULE),
        ApiExample(
            "interval",
            "Every minute, whatever the clock shows",
            body={"name": "poll", "function": "python-adder", "params": {"a": 5, "b": 3}, "interval_seconds": 60},
            response=_SCHEDULE
            | {"name": "poll", "cron": None, "time_zone": None, "interval_seconds": 60}
            | {"jitter_seconds": 0, "next_times": ["2026-11-25T12:01:00.000000Z"]},
        ),
    ),
    links=_FOLLOWING,
)

LIST = Contract(
    Tag.SCHEDULES,
    "List schedules",
    "Lists the schedules of the caller, newest first.",
    parameters=(OWNER, LIMIT, CURSOR),
    headers=(LINK,),
    errors=(ScopeMissing, StorageUnavailable),
    examples=(ApiExample("all", "The schedules", response={"schedules": [_SCHEDULE], "next_cursor": None}),),
    links=(Link("list_schedules", "Read the next page.", {"query.cursor": "$response.body#/next_cursor"}),),
)

GET = Contract(
    Tag.SCHEDULES,
    "Read a schedule",
    "Returns a schedule with its next due times.",
    parameters=(IF_MATCH, IF_NONE_MATCH),
    headers=(ETAG,),
    errors=(ScheduleNotFound, ScheduleMismatch, StorageUnavailable),
    examples=(ApiExample("whole", "The schedule", response=_SCHEDULE),),
)

PATCH = Contract(
    Tag.SCHEDULES,
    "Change a schedule",
    "Replaces the given fields; `null` removes `retry` or `callback`. A field of the timing replaces the whole timing, "
    "but time_zone alone moves the cron expression to another zone. With another timing, intervals count from now, and "
    "due times that are not settled yet are recorded as missed. With another target, a schedule that its session has "
    "ended continues.",
    parameters=(IF_MATCH, IF_NONE_MATCH),
    headers=(ETAG,),
    errors=(*_CHANGE, *_TARGET, ScheduleElsewhere, TimingRefused, ScopeMissing, FieldTooLarge),
    examples=(
        ApiExample(
            "zone",
            "Another zone, if the schedule has not changed since version 1",
            parameters={"If-Match": '"1"'},
            body={"cron": "30 2 * * *", "time_zone": "Asia/Tokyo"},
            response=_SCHEDULE | {"time_zone": "Asia/Tokyo", "version": 2},
        ),
    ),
    links=_FOLLOWING,
)

DELETE = Contract(
    Tag.SCHEDULES,
    "Delete a schedule",
    "Deletes a schedule with the record of its firings. Executions that it has started continue.",
    parameters=(IF_MATCH, IF_NONE_MATCH),
    errors=(ScheduleNotFound, ScheduleMismatch, StorageUnavailable),
    examples=(ApiExample("delete", "Delete the schedule"),),
)

PAUSE = Contract(
    Tag.SCHEDULES,
    "Pause a schedule",
    "Lets nothing fire until the schedule is resumed. Pausing it again changes nothing.",
    parameters=(IF_MATCH, IF_NONE_MATCH),
    headers=(ETAG,),
    errors=_CHANGE,
    examples=(
        ApiExample(
            "paused", "The paused schedule", response=_SCHEDULE | {"paused": True, "next_times": [], "version": 2}
        ),
    ),
)

RESUME = Contract(
    Tag.SCHEDULES,
    "Resume a schedule",
    "Continues with the first due time from now on. Due times during the pause are recorded as skipped, in one firing. "
    "Resuming it again changes nothing.",
    parameters=(IF_MATCH, IF_NONE_MATCH),
    headers=(ETAG,),
    errors=_CHANGE,
    examples=(ApiExample("resumed", "The schedule", response=_SCHEDULE | {"version": 3}),),
)

RUN = Contract(
    Tag.SCHEDULES,
    "Run a schedule now",
    "Accepts an execution at once, beside the due times, also of a paused schedule. The firings show it as manual. A "
    "repeated call with its Idempotency-Key accepts nothing more, and returns what the first one accepted, in its "
    "present state.",
    parameters=(IDEMPOTENCY_KEY,),
    headers=(LOCATION,),
    errors=(
        IdempotencyConflict,
        KeyInterrupted,
        ScheduleNotFound,
        ScheduleConflict,
        ResponsesNotKept,
        *_TARGET,
        ScopeMissing,
        QuotaReached,
        StorageUnavailable,
    ),
    examples=(ApiExample("run", "The execution", response=ACCEPTED),),
)

FIRINGS = Contract(
    Tag.SCHEDULES,
    "List what became of due times",
    "Lists the newest firings of a schedule, newest due time first. About 200 are kept. Two of one instant stand on "
    "one page, which may then have one more than `limit`.",
    parameters=(BEFORE, LIMIT),
    errors=(ScheduleNotFound, StorageUnavailable),
    examples=(ApiExample("fired", "One that fired", response={"firings": [_FIRING], "next_before": None}),),
)
