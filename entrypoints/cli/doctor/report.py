"""Findings, and their report: a table for people with what to do beneath, or JSON for programs."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import click
from attrs import frozen

from entrypoints.version import VERSION


class Level(StrEnum):
    """A note needs no action, a warning needs one soon, a problem needs one now."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


_LEVELS = list(Level)
_COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_INDENT = 10


@frozen
class Finding:
    """What a check saw of a subject; a warning or a problem also has the consequence and the remedy."""

    subject: str
    level: Level
    seen: str
    why: str = ""
    remedy: str = ""


@frozen
class Subject:
    """A part of an installation, as the report names it; its methods make findings about it."""

    name: str

    def ok(self, seen: str) -> Finding:
        """Return that it is well."""
        return Finding(self.name, Level.OK, seen)

    def note(self, seen: str, why: str = "", remedy: str = "") -> Finding:
        """Return a fact that is good to know."""
        return Finding(self.name, Level.NOTE, seen, why, remedy)

    def warning(self, seen: str, why: str, remedy: str) -> Finding:
        """Return what will cause harm one day."""
        return Finding(self.name, Level.WARNING, seen, why, remedy)

    def problem(self, seen: str, why: str, remedy: str) -> Finding:
        """Return what causes harm now."""
        return Finding(self.name, Level.PROBLEM, seen, why, remedy)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level; ok if there are no findings."""
    return max((finding.level for finding in findings), key=_LEVELS.index, default=Level.OK)


def as_table(findings: Sequence[Finding]) -> str:
    """Return the findings as lines, each with its consequence and its remedy beneath."""
    return "\n".join((*_lines(findings), "", _summary(findings)))


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings for programs."""
    listed = [
        {
            "subject": each.subject,
            "status": each.level,
            "seen": each.seen,
            "why": each.why or None,
            "remedy": each.remedy or None,
        }
        for each in findings
    ]
    counts = {str(level): sum(each.level is level for each in findings) for level in Level}
    return json.dumps({"status": worst(findings), "version": VERSION, "counts": counts, "findings": listed}, indent=2)


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    width = max((len(each.subject) for each in findings), default=0)
    beneath = " " * (_INDENT + width + 2)
    for each in findings:
        bold = each.level is Level.PROBLEM or None
        level = click.style(f"{each.level:<{_INDENT - 1}}", fg=_COLOURS[each.level], bold=bold)
        yield f"{level} {each.subject:<{width}}  {each.seen}"
        if each.why:
            yield f"{beneath}{each.why}"
        if each.remedy:
            yield f"{beneath}-> {each.remedy}"


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(each.level for each in findings)
    text = ", ".join(f"{counts[level]} {level}{_plural(level, counts[level])}" for level in Level if counts[level])
    return click.style(f"{text}.", fg=_COLOURS[worst(findings)])


def _plural(level: Level, count: int) -> str:
    return "" if level is Level.OK or count == 1 else "s"
