"""The command `takeover verify`."""

import asyncio
import json
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from domain.takeover.fence import Fence
from domain.takeover.options import TakeoverOptions
from domain.takeover.source import SourceAddress
from domain.takeover.verification import FAULTS, Verdict, VerifiedRow
from domain.takeover.verifier import VerifyStep
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.cli.takeover.copy import batch_bytes_option, taking_policy
from entrypoints.cli.takeover.options import SourceChoice, report_option, source_options
from entrypoints.cli.takeover.report_file import Note, report_file

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_WORDS = {
    Verdict.SAME: "Both sides have the same values.",
    Verdict.MOVED_ON: "It was taken, and has been used or changed since.",
    Verdict.LEFT: "It stays with the origin; --report has the reason.",
    Verdict.DIFFERS: "The values differ; --report has the fields. Copy again if it was not adopted.",
    Verdict.MISSING: "It should be here. Copy again.",
    Verdict.EXTRA: "It was copied, and the origin does not have it any more. It ends at its expiry.",
}


@define
class VerifyTotals:
    """What was compared, by verdict and by the reason why rows are left."""

    verdicts: Counter[Verdict] = field(factory=Counter)
    reasons: Counter[str] = field(factory=Counter)

    def add(self, step: VerifyStep) -> None:
        """Count compared rows."""
        self.verdicts.update(step.verdicts)
        self.reasons.update(str(row.reason) for row in step.rows if row.verdict is Verdict.LEFT)

    @property
    def examined(self) -> int:
        """The rows of the origin."""
        return self.verdicts.total() - self.verdicts[Verdict.EXTRA]

    @property
    def faults(self) -> int:
        """The rows on which an operator must act."""
        return sum(self.verdicts[verdict] for verdict in FAULTS)


@click.command(epilog=examples("pglambda takeover verify", "pglambda takeover verify --report differences.jsonl"))
@source_options
@batch_bytes_option
@report_option
@dry_run_option
@output_option
@click.pass_context
def verify(
    context: click.Context,
    /,
    batch_bytes: int,
    report: Path | None,
    dry_run: bool,  # noqa: ARG001  # it never writes
    output: str,
    **given: Any,
) -> None:
    """Compare each session of the origin with what is stored here, value by value.

    Both databases compute a digest of each session, in short transactions, so contents do not travel. A session whose
    digests differ is read and compared field by field. A session that was used since it was taken has moved on. Its
    counts are then compared with those at that time.

    The report has each session that is not the same, with the field or the reason. The exit status is 1 if a session
    differs, is missing here, or is not in the origin.
    """
    with failures_reported(), report_file(report) as note:
        settings = patient(settings_in_force())
        address = SourceChoice.of(given, settings).address
        with command_database(container_of(context), settings) as commands:
            totals = asyncio.run(_verified(commands, address, batch_bytes, note))
    click.echo(_document(totals) if Output(output) is Output.JSON else _text(totals))
    if totals.faults:
        context.exit(1)


async def _verified(commands: "Commands", address: SourceAddress, bytes_max: int, note: Note) -> VerifyTotals:
    async with commands.database_access().opened():
        async with commands.origin_inspector(address) as origin:
            takeover = await commands.takeover_start().stored(await origin.server())
        policy = await taking_policy(commands, TakeoverOptions.of(takeover.options))
        async with commands.origin_reader(address, Fence.of(takeover.takeover_id).shift) as reader:
            verifier = commands.verifier(origin=reader, policy=policy, bytes_max=bytes_max)
            totals = VerifyTotals()
            rows = await reader.count(None)
            with click.progressbar(length=rows, label="Comparing", file=sys.stderr) as bar:
                async with aclosing(verifier.run()) as steps:
                    async for step in steps:
                        totals.add(step)
                        for row in step.rows:
                            note(_line(row))
                        bar.update(step.examined)
            return totals


def _line(row: VerifiedRow) -> dict[str, object]:
    line: dict[str, object] = {"request_id": row.request_id, "verdict": row.verdict}
    if row.reason is not None:
        line["reason"] = row.reason
    if row.fields:
        line["fields"] = list(row.fields)
    return line


def _document(totals: VerifyTotals) -> str:
    verdicts = {str(verdict): totals.verdicts[verdict] for verdict in Verdict}
    return json.dumps({"examined": totals.examined, "verdicts": verdicts, "left": totals.reasons}, indent=2)


def _text(totals: VerifyTotals) -> str:
    rows = [(f"{totals.verdicts[each]:,}", str(each), _WORDS[each]) for each in Verdict if totals.verdicts[each]]
    compared = f"Compared {totals.examined:,} sessions of the origin."
    return "\n\n".join([compared, table([("sessions", "verdict", ""), *rows], frozenset({0}))])
