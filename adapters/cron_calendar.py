"""Cron expressions by cronsim, and time zones by zoneinfo."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import frozen
from cronsim import CronSim, CronSimError
from typing_extensions import override

from domain.schedules.timing import (
    EXPRESSION_SIZE_MAX,
    ZONE_SIZE_MAX,
    Calendar,
    Cron,
    CronTimes,
    LocalTimes,
    TimingRefused,
)

_FIELDS = 5
_NOT_OF_IANA = ("right/", "posix/", "posixrules", "localtime", "Factory")
"""Files beside the zones: with leap seconds, doubled, or different on each host."""
_PROBE = datetime(2000, 1, 1)  # noqa: DTZ001  # local times have no zone
"""From here on an expression must match within 50 years, so that it is known to match at all."""


@frozen
class CronLocalTimes(LocalTimes):
    """The local times of a cron expression. Without a zone cronsim matches fields only, and has no rules of its own."""

    expression: str

    @override
    def after(self, local: datetime) -> Iterator[datetime]:
        return CronSim(self.expression, local)


class CronCalendar(Calendar):
    """Reads expressions with five fields: minutes are the finest unit."""

    @override
    def cron_times(self, cron: Cron) -> CronTimes:
        _require_understood(cron.expression)
        return CronTimes(CronLocalTimes(cron.expression), _zone(cron.zone))


def _require_understood(expression: str) -> None:
    if len(expression) > EXPRESSION_SIZE_MAX:
        raise TimingRefused(f"its cron expression is longer than {EXPRESSION_SIZE_MAX} characters. Use a shorter one.")
    if len(expression.split()) != _FIELDS:
        raise TimingRefused(
            "its cron expression must have five fields (minute, hour, day of month, month, day of week), such as "
            '"30 2 * * MON-FRI". For seconds use an interval.'
        )
    try:
        found = next(CronSim(expression, _PROBE), None)
    except CronSimError as error:
        raise TimingRefused(f"its cron expression cannot be understood ({error}). Correct the named field.") from error
    if found is None:
        raise TimingRefused(
            "its cron expression names days that never come. Correct day of month, month or day of week."
        )


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # it works on hosts without zone files, too
        return UTC
    with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if not name.startswith(_NOT_OF_IANA):
            return ZoneInfo(name[: ZONE_SIZE_MAX + 1])  # no name is as long
    raise TimingRefused(
        "its time zone is unknown here. Use a name of the IANA database, such as Europe/Berlin, or UTC."
    )
