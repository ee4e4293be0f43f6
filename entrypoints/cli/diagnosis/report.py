"""Findings as text: a table for people, with what to do beneath, or JSON for programs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

import click

from entrypoints.cli.diagnosis.finding import Finding, Level, worst
from entrypoints.version import VERSION

_COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_INDENT = 10


def as_table(findings: Sequence[Finding]) -> str:
    """Return the findings by subject, each with its reason and its remedy beneath."""
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
    for each in findings:
        level = click.style(
            f"{each.level:<{_INDENT - 1}}", fg=_COLOURS[each.level], bold=each.level is Level.PROBLEM or None
        )
        yield f"{level} {each.subject:<{width}}  {each.seen}"
        beneath = " " * (_INDENT + width + 2)
        if each.why:
            yield f"{beneath}{each.why}"
        if each.remedy:
            yield f"{beneath}-> {each.remedy}"


def _summary(findings: Sequence[Finding]) -> str:
    counts, level = Counter(each.level for each in findings), worst(findings)
    told = ", ".join(f"{counts[each]} {each}{_plural(each, counts[each])}" for each in Level if counts[each])
    return click.style(f"{told}.", fg=_COLOURS[level])


def _plural(level: Level, count: int) -> str:
    return "" if level is Level.OK or count == 1 else "s"
