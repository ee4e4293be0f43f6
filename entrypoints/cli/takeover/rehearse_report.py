"""The report of a rehearsal: a table for people, JSON for programs, and a line for each call."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from domain.scripts.convention import Convention
from domain.takeover.judgement import REHEARSED, CallVerdict, JudgedScripts, Judgement, ScriptJudgement
from domain.takeover.recording import Recording, Unrecorded
from entrypoints.cli.output import Output, table
from entrypoints.cli.takeover.report_file import Note

FORMAT = 1
"""The version of the JSON report; members are only added within a version."""

_WHY: Mapping[Unrecorded, str] = {
    Unrecorded.UNCOPIED: "of sessions that were not copied, or have no script; run `takeover copy`, best with --follow",
    Unrecorded.TOO_LARGE: "with a body of more than 64 KiB",
    Unrecorded.UNREADABLE: "with a body that is no JSON, or is compressed by another coding than gzip or deflate",
}


@define
class Rehearsal:
    """What the report is made of."""

    scripts: JudgedScripts = field(factory=JudgedScripts)
    calls: int = 0
    skipped: int = 0
    uncopied: int = 0
    recording: Recording | None = None

    def add(self, judgement: Judgement, note: Note) -> None:
        """Add how a call ended, and tell it to the report."""
        self.calls += 1
        self.skipped += judgement.is_skipped
        self.scripts.add(judgement)
        note(_line(judgement))


def _line(judgement: Judgement) -> dict[str, object]:
    return {
        "call_id": judgement.call_id,
        "request_id": judgement.session_id,
        "language": judgement.language,
        "script_hash": judgement.script_hash,
        "params_bytes": judgement.params_bytes,
        "result_bytes": judgement.result_bytes,
        "codes": list(judgement.codes),
        **{convention: answer.facts() for convention, answer in judgement.answers.items()},
    }


def written(done: Rehearsal, found: Sequence[ScriptJudgement], output: Output, *, dry_run: bool) -> str:
    """Return the report."""
    if output is Output.JSON:
        return json.dumps(_document(done, found, dry_run=dry_run), indent=2)
    return "\n\n".join(_parts(done, found))


def _document(done: Rehearsal, found: Sequence[ScriptJudgement], *, dry_run: bool) -> Mapping[str, Any]:
    recording = done.recording
    return {
        "format": FORMAT,
        "dry_run": dry_run,
        "status": "same" if done.calls and all(each.is_same for each in found) else "differs",
        "calls": done.calls,
        "skipped": done.skipped,
        "without_copy": done.uncopied,
        "unrecorded": {} if recording is None else dict(recording.unrecorded),
        "scripts": [
            {
                "language": each.language,
                "script_hash": each.script_hash,
                "calls": each.calls,
                "notes": list(each.notes),
                **{
                    convention: {
                        "verdicts": dict(each.verdicts[convention]),
                        "codes": list(each.codes[convention]),
                        "locations": list(each.locations[convention]),
                    }
                    for convention in REHEARSED
                },
            }
            for each in found
        ],
    }


def _parts(done: Rehearsal, found: Sequence[ScriptJudgement]) -> Sequence[str]:
    if not done.calls:
        told = ["No call was recorded. Run `pglambda takeover rehearse --minutes 10` while clients call the front."]
        return [*told, *_unrecorded(done)]
    head = ("language", "script", "calls", "origin", "own", "why", "where")
    rows = [_row(each) for each in found]
    differing = sum(not each.is_same for each in found)
    ended = (
        f"{done.calls:,} calls of {len(found):,} scripts. Calls of {differing:,} scripts differ or fail under origin."
    )
    return [table([head, *rows], frozenset({2})), ended, *_unrecorded(done)]


def _row(script: ScriptJudgement) -> Sequence[str]:
    shown = Convention.OWN if script.is_same else Convention.ORIGIN
    return (
        script.language,
        script.script_hash[:12],
        f"{script.calls:,}",
        *(_verdicts(script.verdicts[convention]) for convention in REHEARSED),
        " ".join([*script.codes[shown], *script.notes]),
        "; ".join(script.locations[shown]),
    )


def _verdicts(verdicts: Mapping[CallVerdict, int]) -> str:
    return ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in CallVerdict if verdicts.get(verdict))


def _unrecorded(done: Rehearsal) -> Sequence[str]:
    counts = {} if done.recording is None else done.recording.unrecorded
    rows = [(f"{number:,}", _WHY[reason]) for reason, number in counts.items() if number]
    if done.uncopied:
        rows.append((f"{done.uncopied:,}", "whose session has ended since, so they were not run"))
    if done.skipped:
        rows.append((f"{done.skipped:,}", "that the sandbox could not run; repeat the command"))
    return [table([("calls left", "why"), *rows], frozenset({0}))] if rows else []
