"""A thing that was found, how bad it is, and what to do about it."""

from collections.abc import Iterable
from enum import StrEnum

from attrs import frozen


class Level(StrEnum):
    """How bad a finding is: a note needs nothing to be done, a warning something soon, a problem something now."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


_LEVELS = list(Level)


@frozen
class Finding:
    """What was seen of a subject; unless all is well, why that matters and what to do."""

    subject: str
    level: Level
    seen: str
    why: str = ""
    remedy: str = ""


def ok(subject: str, seen: str) -> Finding:
    """Return that a thing is as it should be."""
    return Finding(subject, Level.OK, seen)


def note(subject: str, seen: str, why: str = "", remedy: str = "") -> Finding:
    """Return what is good to know."""
    return Finding(subject, Level.NOTE, seen, why, remedy)


def warning(subject: str, seen: str, why: str, remedy: str) -> Finding:
    """Return what will do harm one day."""
    return Finding(subject, Level.WARNING, seen, why, remedy)


def problem(subject: str, seen: str, why: str, remedy: str) -> Finding:
    """Return what does harm now."""
    return Finding(subject, Level.PROBLEM, seen, why, remedy)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level there is; ok when nothing was found."""
    return max((finding.level for finding in findings), key=_LEVELS.index, default=Level.OK)
