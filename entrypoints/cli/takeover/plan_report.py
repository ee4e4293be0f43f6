"""The report of the plan: tables for people, JSON for programs."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from domain.takeover.plan import PlanFacts, fence_log_bytes, missing_grants
from domain.takeover.traps import TRAPS
from entrypoints.cli.doctor.report import Finding, Level, as_table, worst
from entrypoints.cli.output import Output, table
from entrypoints.cli.takeover.redis_keys import keys_document
from entrypoints.version import VERSION

FORMAT = 1
"""The version of the JSON report; members are only added within a version."""

_SCRIPTS_SHOWN = 20
_OWNERS_SHOWN = 10
_WIDTH = 100
_INDENT = "    "
_STAGES: Sequence[tuple[str, str, str]] = (
    ("0 look", "plan", "reads the origin, and changes nothing"),
    ("1 settings", "config", "converts the settings of the origin"),
    ("2 front", "serve with ORIGIN_URL and ORIGIN_PORT", "stands on the old address, and passes every call on"),
    ("3 copy", "functions, copy, verify, rehearse", "copies sessions that are not served yet, and compares them"),
    ("4 new here", "open", "creates new sessions here"),
    ("5 adopt", "adopt, verify", "moves each live session here; back returns them"),
    ("6 end", "finish", "ends the takeover; refused while the origin owns a live session"),
)


def written(facts: PlanFacts, found: Sequence[Finding], output: Output) -> str:
    """Return the report."""
    if output is Output.JSON:
        return json.dumps(_document(facts, found), indent=2, default=str)
    return "\n\n".join(_parts(facts, found))


def _parts(facts: PlanFacts, found: Sequence[Finding]) -> Iterator[str]:
    yield as_table(found)
    if facts.census is not None:
        yield _titled("What would be taken", table(list(_taken(facts)), frozenset({1})))
        yield from _scripts(facts)
    yield _titled("Settings of the origin", "\n".join(remark_lines(TRAPS.items())))
    yield _titled("Back the origin up first", f"  {facts.dump_command}")
    yield _titled("The stages", table([("stage", "command", "what it does"), *_STAGES]))


def remark_lines(remarks: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield each name, and its words in lines of a readable length beneath."""
    for name, words in remarks:
        yield name
        yield textwrap.fill(words, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _titled(title: str, text: str) -> str:
    return f"{click.style(title, bold=True)}\n{text}"


def _taken(facts: PlanFacts) -> Iterator[Sequence[str]]:
    census, counts = facts.census, facts.counts
    assert census is not None
    assert counts is not None
    yield "live sessions", f"{counts.live:,}"
    yield "  taken", f"{census.taken_live:,}"
    yield "  left with the origin", f"{census.left:,}"
    yield "expired within the retention", f"{counts.retained:,}"
    yield "  taken, without their content", f"{census.taken_ended:,}"
    yield "expired earlier (estimated)", f"{facts.dead_estimated:,}"
    for language, number in sorted(census.languages.items()):
        yield f"in {language}", f"{number:,}"
    for owner, number in census.owners.most_common(_OWNERS_SHOWN):
        yield f"of {owner}", f"{number:,}"
    more = sum(number for _, number in census.owners.most_common()[_OWNERS_SHOWN:]) + census.other_owners
    if more:
        yield "of further owners", f"{more:,}"
    yield "largest context, bytes", f"{census.context_bytes_max:,}"
    yield "largest script, bytes", f"{census.script_bytes_max:,}"
    yield "largest artifact (not copied), bytes", f"{census.artifact_bytes_max:,}"
    yield "bytes to copy", f"{census.size_bytes:,}"
    if facts.read_s is not None:
        yield "seconds to read them, as measured", f"{facts.read_s:,.1f}"
    yield "seconds until the last live one expires", _last_live(facts)


def _last_live(facts: PlanFacts) -> str:
    assert facts.counts is not None
    last = facts.counts.last_live
    return f"{last.total_seconds():,.0f}" if last is not None else "never, or none is live"


def _scripts(facts: PlanFacts) -> Iterator[str]:
    verdicts = facts.scripts.verdicts
    if not verdicts:
        return
    rows = [
        (
            verdict.language,
            verdict.digest[:12],
            f"{verdict.sessions:,}",
            f"{verdict.size_bytes:,}",
            verdict.form,
            _verdict(verdict.fault, checked=verdict.checked),
            " ".join(verdict.codes),
        )
        for verdict in verdicts[:_SCRIPTS_SHOWN]
    ]
    head = ("language", "md5", "sessions", "bytes", "form", "syntax", "codes")
    yield _titled(f"Scripts of most sessions ({len(verdicts):,} looked at)", table([head, *rows], frozenset({2, 3})))


def _verdict(fault: str | None, *, checked: bool) -> str:
    return "not checked" if not checked else "valid" if fault is None else f"invalid: {fault[:40]}"


def _document(facts: PlanFacts, found: Sequence[Finding]) -> Mapping[str, Any]:
    source, census, counts = facts.source, facts.census, facts.counts
    return {
        "format": FORMAT,
        "version": VERSION,
        "status": worst(found),
        "source": {
            "server_version": source.major_version,
            "role": source.role,
            "standby": source.is_standby,
            **source.fingerprint,
        },
        "variant": facts.schema.variant if facts.schema.sessions else None,
        "generations": sorted(facts.generations),
        "evidence": list(facts.evidence.sentences()),
        "clock_ahead_seconds": facts.clock and facts.clock.ahead.total_seconds(),
        "counts": counts
        and {
            "live": counts.live,
            "retained": counts.retained,
            "fenced": counts.fenced,
            "dead_estimated": facts.dead_estimated,
            "last_live_seconds": counts.last_live and counts.last_live.total_seconds(),
        },
        "taken": census
        and {
            "live": census.taken_live,
            "ended": census.taken_ended,
            "languages": dict(census.languages),
            "owners": dict(census.owners),
            "other_owners": census.other_owners,
            "flags": dict(census.flags),
        },
        "left": census and {"live": dict(census.live_reasons), "all": dict(census.reasons)},
        "largest_bytes": census
        and {
            "context": census.context_bytes_max,
            "script": census.script_bytes_max,
            "artifact": census.artifact_bytes_max,
        },
        "estimate": census
        and facts.schema.sessions
        and {
            "copy_bytes": census.size_bytes,
            "read_seconds": facts.read_s,
            "fence_wal_bytes": fence_log_bytes(facts.schema.sessions, census.taken_live),
            "room_bytes": facts.room_bytes,
        },
        "scripts": [
            {
                "language": verdict.language,
                "md5": verdict.digest,
                "sessions": verdict.sessions,
                "size_bytes": verdict.size_bytes,
                "form": verdict.form,
                "checked": verdict.checked,
                "fault": verdict.fault,
                "codes": list(verdict.codes),
            }
            for verdict in facts.scripts.verdicts
        ],
        "scripts_not_looked_at_sessions": facts.scripts.others,
        "redis": keys_document(facts.cache),
        "functions": [
            {"language_title": each.language_title, "active": each.is_active, "has_script": each.has_script}
            for each in facts.functions
        ],
        "logs_rows_estimated": dict(facts.logs),
        "grants": {
            command: list(grants)
            for command, grants in missing_grants(facts.schema, source, with_redis=facts.uses_redis).items()
        },
        "findings": [
            {"subject": each.subject, "status": each.level, "seen": each.seen, "why": each.why, "remedy": each.remedy}
            for each in found
        ],
        "settings": dict(TRAPS),
        "backup": facts.dump_command,
        "stages": [{"stage": stage, "command": command, "effect": effect} for stage, command, effect in _STAGES],
    }


def has_problem(found: Sequence[Finding]) -> bool:
    """Return whether something has to be changed before the takeover."""
    return worst(found) is Level.PROBLEM
