"""The sentences of explanations, filled in from `sentences.txt`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files

from attrs import frozen

from domain.timeline import ClockReading

_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


@frozen
class Evidence:
    """A fact: its topic, its text, what it is based on, and the instant that it is about."""

    topic: str
    text: str
    source: str
    at: datetime | None = None


@frozen
class Explanation:
    """What an id stands for, in a word and in a summary, and the statements that prove it."""

    state: str
    summary: str
    statements: Sequence[Evidence] = ()


def _read() -> Iterator[tuple[str, Sequence[str]]]:
    for line in files(__package__).joinpath("sentences.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *fields = line.split(" | ")
            yield name, fields


SENTENCES: Mapping[str, Sequence[str]] = dict(_read())
"""By name: the topic, the source and the text of a statement, or the state and the text of a summary."""


def fact(name: str, at: datetime | None = None, **values: object) -> Evidence:
    """Return the statement of this name; instants and lengths of time are written for people."""
    topic, source, text = SENTENCES[name]
    return Evidence(topic, _filled(text, at=at, **values), source, at)


def summary(name: str, **values: object) -> tuple[str, str]:
    """Return the state and the summary of this name."""
    state, text = SENTENCES[f"summary.{name}"]
    return state, _filled(text, **values)


def known(*found: Evidence | None) -> list[Evidence]:
    """Return the statements that there are."""
    return [each for each in found if each is not None]


def clock_read(clock: ClockReading) -> Evidence:
    """Return the statement about the clock by which an explanation judges."""
    ahead = "ahead of" if clock.offset_ms >= 0 else "behind"
    return fact("clock", clock.now, bound=clock.error_bound_ms, offset=abs(clock.offset_ms), ahead=ahead)


def written(at: datetime) -> str:
    """Return an instant in UTC, to the microsecond."""
    return f"{at:%Y-%m-%d %H:%M:%S.%f}Z"


def counted(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    seconds = abs(length.total_seconds())
    for unit_s, name, smaller_s, smaller in _UNITS:
        if seconds >= unit_s:
            whole, rest = divmod(seconds, unit_s)
            return f"{whole:.0f} {name} {rest // smaller_s:.0f} {smaller}"
    return f"{seconds:.3f} s"


def _filled(text: str, **values: object) -> str:
    return text.format(**{name: _shown(value) for name, value in values.items()})


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return written(value)
    return span(value) if isinstance(value, timedelta) else value
