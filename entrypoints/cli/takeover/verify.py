"""The command `takeover verify`."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from domain.identity import SHARED, Owner
from domain.takeover.cached import CacheCensus
from domain.takeover.fence import Fence
from domain.takeover.function_import import ImportOutcome
from domain.takeover.functions import LeftFunction
from domain.takeover.options import TakeoverOptions
from domain.takeover.source import SourceAddress
from domain.takeover.start import TakeoverStart
from domain.takeover.verification import FAULTS, Verdict, VerifiedRow
from domain.takeover.verifier import VerifyStep
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.cli.takeover.connecting import own_address
from entrypoints.cli.takeover.functions import added_functions, function_owner_option
from entrypoints.cli.takeover.options import (
    SourceChoice,
    batch_bytes_option,
    report_option,
    restored_option,
    source_options,
)
from entrypoints.cli.takeover.plan import taking_policy
from entrypoints.cli.takeover.redis_keys import compared_keys, keys_document, keys_text
from entrypoints.cli.takeover.report_file import Note, Report, report_file

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


_OUTCOMES: Mapping[ImportOutcome, Verdict] = {
    ImportOutcome.UNCHANGED: Verdict.SAME,
    ImportOutcome.NEXT_VERSION: Verdict.DIFFERS,
    ImportOutcome.NEW: Verdict.MISSING,
}


@define
class VerifyTotals:
    """What was compared, by verdict and by the reason why rows are left; `functions` is None if none were compared."""

    verdicts: Counter[Verdict] = field(factory=Counter)
    reasons: Counter[str] = field(factory=Counter)
    functions: Counter[Verdict] | None = None
    redis: CacheCensus | None = None

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
        """The rows, functions and keys on which an operator must act."""
        keys = 0 if self.redis is None else self.redis.hidden
        return keys + sum((self.verdicts + (self.functions or Counter()))[verdict] for verdict in FAULTS)


@click.command(
    epilog=examples(
        "pglambda takeover verify",
        "pglambda takeover verify --report differences.jsonl",
        "pglambda takeover verify --functions",
    )
)
@source_options
@restored_option
@batch_bytes_option
@click.option("--functions", is_flag=True, help="Compare functions too, after `takeover functions`.")
@function_owner_option
@report_option
@dry_run_option
@output_option
@click.pass_context
def verify(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    /,
    batch_bytes: int,
    functions: bool,
    function_owner: Owner | None,
    report: Path | None,
    dry_run: bool,
    output: str,
    **given: Any,
) -> None:
    """Compare each session of the origin with what is stored here, value by value.

    Both databases compute a digest of each session, in short transactions, so contents do not travel. A session whose
    digests differ is read and compared field by field. A session that was used since it was taken has moved on. Its
    counts are then compared with those at that time.

    With a Redis of generation 1, its keys are compared with their rows. A session that has moved has no key. With
    --restored, the command compares with a database to which the origin was restored, and the takeover keeps its own.

    The report has each session that is not the same, with the field or the reason. The exit status is 1 if a session
    differs, is missing here, or is not in the origin, or if the origin serves one that has moved.
    """
    with failures_reported(), report_file(report) as note:
        settings = patient(settings_in_force())
        owner = (function_owner or SHARED) if functions else None
        source = SourceChoice.of(given, settings)
        with command_database(container_of(context), settings) as commands:
            totals = asyncio.run(_verified(commands, source, batch_bytes, owner, note, dry_run=dry_run))
    click.echo(_document(totals) if Output(output) is Output.JSON else _text(totals))
    if totals.faults:
        context.exit(1)


async def _verified(  # noqa: PLR0913  # what the operator has chosen
    commands: "Commands",
    source: SourceChoice,
    bytes_max: int,
    function_owner: Owner | None,
    note: Report,
    *,
    dry_run: bool,
) -> VerifyTotals:
    totals, address = VerifyTotals(), source.address
    async with commands.database_access().opened():
        async with (
            commands.origin_inspector(address) as origin,
            commands.origin_inspector(own_address(commands)) as target,
        ):
            start: TakeoverStart = commands.takeover_start()
            find = partial(start.follow, dry_run=True) if source.is_restored else start.stored
            server = await origin.server()
            server.require_sha256()
            takeover = await find(server, await target.server())
        options = TakeoverOptions.of(takeover.options)
        policy = await taking_policy(commands, options, opened=True)
        async with commands.origin_reader(address, Fence.of(takeover.takeover_id).shift) as reader:
            verifier = commands.verifier(origin=reader, policy=policy, bytes_max=bytes_max)
            rows = await reader.estimate(None)
            with click.progressbar(length=rows, label="Comparing", file=sys.stderr) as bar:
                async with aclosing(verifier.run()) as steps:
                    async for step in steps:
                        totals.add(step)
                        for row in step.rows:
                            note(_line(row))
                        bar.update(step.examined)
        if function_owner is not None:
            totals.functions = await _functions(commands, address, function_owner, options, note)
        totals.redis = await compared_keys(commands, address, totals.examined, note)
        if not dry_run:
            await note.seal(start, "verify")
    return totals


async def _functions(
    commands: "Commands", address: SourceAddress, owner: Owner, options: TakeoverOptions, note: Note
) -> Counter[Verdict]:
    """Compare functions by what a repeated registration would do: nothing if both sides have the same."""
    counts: Counter[Verdict] = Counter()
    async for each in added_functions(commands, address, owner, options.languages, dry_run=True):
        verdict = Verdict.LEFT if isinstance(each, LeftFunction) else _OUTCOMES[each.outcome]
        counts[verdict] += 1
        if verdict is not Verdict.SAME:
            reason = {"reason": each.reason} if isinstance(each, LeftFunction) else {}
            note({"language_title": str(each.language_title), "verdict": verdict, **reason})
    return counts


def _line(row: VerifiedRow) -> dict[str, object]:
    line: dict[str, object] = {"request_id": row.request_id, "verdict": row.verdict}
    if row.reason is not None:
        line["reason"] = row.reason
    if row.fields:
        line["fields"] = list(row.fields)
    return line


def _document(totals: VerifyTotals) -> str:
    verdicts = {str(verdict): totals.verdicts[verdict] for verdict in Verdict}
    document = {"examined": totals.examined, "verdicts": verdicts, "left": totals.reasons}
    if totals.functions is not None:
        document["functions"] = {str(verdict): totals.functions[verdict] for verdict in Verdict}
    if totals.redis is not None:
        document["redis"] = keys_document(totals.redis)
    return json.dumps(document, indent=2)


def _text(totals: VerifyTotals) -> str:
    compared = f"Compared {_counted(totals.examined, 'session')} of the origin."
    parts = [compared, _table("sessions", totals.verdicts)]
    if totals.functions is not None:
        parts += [f"Compared {_counted(totals.functions.total(), 'function')}.", _table("functions", totals.functions)]
    if totals.redis is not None:
        parts.append(keys_text(totals.redis))
    return "\n\n".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(name: str, verdicts: Counter[Verdict]) -> str:
    rows = [(f"{verdicts[each]:,}", str(each), _WORDS[each]) for each in Verdict if verdicts[each]]
    return table([(name, "verdict", ""), *rows], frozenset({0}))
