"""The bodies of schedules, and what the types of their fields cannot express."""

from collections.abc import Iterator

from msgspec import UNSET

from domain.errors import FieldTooLarge, Problem
from domain.schedules.plan import PARAMS_SIZE_MAX
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.execution_files import collect_problems
from entrypoints.http.parsing.sessions import ENVELOPE_SIZE
from entrypoints.http.schemas.fields import given
from entrypoints.http.schemas.schedules import ScheduleFields

_STORED = frozenset({"name", "cron", "time_zone"})
_TARGETS = ("request_id", "function")
_TIMINGS = ("cron", "interval_seconds", "run_at")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


def schedule_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[ScheduleFields]:
    """Return the parser for the body of a new schedule."""
    size_max = PARAMS_SIZE_MAX + ENVELOPE_SIZE
    return BodyParser(ScheduleFields, size_max, options.body_timeout_s, _body_rules, examiner, _STORED)


def schedule_patch_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[ScheduleFields]:
    """Return the parser for the changes of a schedule."""
    size_max = PARAMS_SIZE_MAX + ENVELOPE_SIZE
    return BodyParser(ScheduleFields, size_max, options.body_timeout_s, _patch_rules, examiner, _STORED)


def _body_rules(body: ScheduleFields) -> Iterator[BodyProblem]:
    yield from _patch_rules(body)
    for names in (("name",), _TARGETS, _TIMINGS):
        if not _given(body, names):
            yield Problem(f"/{names[0]}", _required(names))
    if body.time_zone is not UNSET and body.cron is UNSET:
        yield Problem("/time_zone", "is of use only with cron")


def _patch_rules(body: ScheduleFields) -> Iterator[BodyProblem]:
    for names in (_TARGETS, _TIMINGS):
        for name in _given(body, names)[1:]:
            yield Problem(f"/{name}", f"is one of several: give only one of {', '.join(names)}")
    if body.time_zone is not UNSET and _given(body, _TIMINGS[1:]):
        yield Problem("/time_zone", "is of use only with cron")
    # In UTC, and later by the jitter, it is an instant too.
    if body.run_at is not UNSET and not _FIRST_YEAR <= body.run_at.year <= _LAST_YEAR:
        yield Problem("/run_at", f"must be in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    if body.params is not UNSET and len(bytes(body.params)) > PARAMS_SIZE_MAX:
        yield FieldTooLarge("/params", PARAMS_SIZE_MAX, len(bytes(body.params)))
    yield from collect_problems(given(body.collect))


def _required(names: tuple[str, ...]) -> str:
    return f"is required, or instead {' or '.join(names[1:])}" if names[1:] else "is required"


def _given(body: ScheduleFields, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(body, name) is not UNSET]
