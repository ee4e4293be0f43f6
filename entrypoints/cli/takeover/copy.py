"""The command `takeover copy`."""

import asyncio
import json
import re
import shutil
import sys
from collections import Counter
from contextlib import ExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field, frozen

from domain.concurrency.pace import Pace
from domain.takeover.cached import CacheCensus
from domain.takeover.copying import CopyLimits, CopyStep
from domain.takeover.fence import Fence
from domain.takeover.options import TakeoverOptions
from domain.takeover.reader_ports import OriginReader
from domain.takeover.reasons import Flag, Reason
from domain.takeover.source import SourceAddress
from domain.takeover.source_session import TakeoverPolicy
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.cli.takeover.connecting import own_address
from entrypoints.cli.takeover.options import (
    SourceChoice,
    chosen_options,
    policy_options,
    report_option,
    source_options,
)
from entrypoints.cli.takeover.plan import taking_policy
from entrypoints.cli.takeover.redis_keys import compared_keys, keys_document, keys_text, rdb_option, with_dump
from entrypoints.cli.takeover.report_file import Note, report_file
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_SIZE = re.compile(r"([1-9][0-9]{0,6})(KiB|MiB)")
_SIZE_UNITS = {"KiB": 1024, "MiB": 1024**2}
_SIZE_MAX = 64 * 1024**2
_ROWS_PER_S_MAX = 1_000_000
_PASS_PAUSE_S = 5.0
_MEASURED_EVERY = 8
"""The stored size is measured once in so many batches; that of the disk before each."""


def batch_bytes(text: str) -> int:
    """Return a size, such as 512KiB or 8MiB; raises BadParameter."""
    match = _SIZE.fullmatch(text)
    size_bytes = int(match[1]) * _SIZE_UNITS[match[2]] if match else 0
    if not 0 < size_bytes <= _SIZE_MAX:
        raise click.BadParameter(f"{text!r} is not a size of a batch; write 512KiB or 8MiB, at most 64MiB")
    return size_bytes


batch_bytes_option = click.option(
    "--batch-bytes",
    type=batch_bytes,
    default="8MiB",
    show_default=True,
    metavar="SIZE",
    help="The size of a batch. A larger session is left.",
)


@frozen
class CopyChoice:
    """What the operator wants of a copy."""

    address: SourceAddress
    options: TakeoverOptions
    limits: CopyLimits
    rows_per_s: float | None
    follows: bool
    dry_run: bool
    has_dump: bool


@define
class CopyTotals:
    """What a pass has done."""

    examined: int = 0
    written: int = 0
    unchanged: int = 0
    taken: int = 0
    size_bytes: int = 0
    left: Counter[Reason] = field(factory=Counter)
    flagged: Counter[Flag] = field(factory=Counter)
    redis: CacheCensus | None = None

    def add(self, step: CopyStep) -> None:
        """Count a batch."""
        self.examined += step.examined
        self.size_bytes += step.size_bytes
        self.written += step.received.written
        self.unchanged += step.received.unchanged
        self.taken += step.received.taken
        self.left.update(session.reason for session in step.left)
        self.flagged.update(flag for session in step.flagged for flag in session.flags)

    @property
    def left_live(self) -> int:
        """The sessions that stay with the origin, but for those that have expired."""
        return self.left.total() - self.left[Reason.EXPIRED]


@click.command(
    epilog=examples(
        "pglambda takeover copy --dry-run --report left.jsonl",
        "pglambda takeover copy --rate 2000",
        "pglambda takeover copy --follow",
    )
)
@source_options
@policy_options
@click.option("--follow", is_flag=True, help="Copy again and again, so that the copies stay close to the origin.")
@click.option(
    "--rate",
    type=click.IntRange(1, _ROWS_PER_S_MAX),
    metavar="ROWS/S",
    help="The sessions to read in a second on average. Default: no limit.",
)
@batch_bytes_option
@rdb_option
@report_option
@dry_run_option
@output_option
@click.pass_context
def copy(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    /,
    follow: bool,
    rate: int | None,
    batch_bytes: int,
    rdb: Path | None,
    report: Path | None,
    dry_run: bool,
    output: str,
    **given: Any,
) -> None:
    """Copy the sessions of the origin, which keeps serving them.

    The command reads the origin in short transactions, and stores copies that no call is served from. You can stop it
    at any time and start it again: it continues behind the last batch. A second pass writes only what has changed, and
    finds new sessions. It stops before the disk or STORAGE_MAX_GB is full.

    The rows alone are copied. With a Redis of generation 1, its keys are then compared with their rows: adopt writes
    what only Redis knows to the rows before it moves them.

    The report has each session that is left or unusual, with the reason. The exit status is 1 if sessions are left that
    have not expired.
    """
    with failures_reported(), report_file(report) as note, ExitStack() as stack:
        settings = patient(settings_in_force())
        given = {**stack.enter_context(with_dump(container_of(context)(settings=settings), rdb, given))}
        limits = CopyLimits(min(rate or CopyLimits().rows_max, CopyLimits().rows_max), batch_bytes)
        address = SourceChoice.of(given, settings).address
        options = chosen_options(given, settings)
        choice = CopyChoice(address, options, limits, rate, follow, dry_run, rdb is not None)
        with command_database(container_of(context), settings) as commands:
            totals = asyncio.run(_copied(commands, settings, choice, note))
    click.echo(_written(totals, Output(output), dry_run=dry_run))
    if totals.left_live:
        context.exit(1)


async def _copied(commands: "Commands", settings: Settings, choice: CopyChoice, note: Note) -> CopyTotals:
    async with commands.database_access().opened():
        shift = await _begun(commands, choice)
        policy = await taking_policy(commands, choice.options, opened=True)
        async with commands.origin_reader(choice.address, shift) as reader:
            copying = _Copying(commands, settings, choice, reader, policy, note)
            totals = await copying.one_pass()
            while choice.follows and not choice.dry_run:
                click.echo(_text(totals, dry_run=False), err=True)
                await commands.pause()(_PASS_PAUSE_S)
                totals = await copying.one_pass()
    totals.redis = await compared_keys(commands, choice.address, totals.examined, note, is_dump=choice.has_dump)
    return totals


async def _begun(commands: "Commands", choice: CopyChoice) -> timedelta:
    """Begin the takeover, or check that this is its source; return the shift of its fence, 0 in a dry run."""
    if choice.dry_run:
        return timedelta(0)
    async with (
        commands.origin_inspector(choice.address) as origin,
        commands.origin_inspector(own_address(commands)) as target,
    ):
        takeover = await commands.takeover_start().chosen(await origin.server(), await target.server(), choice.options)
    return Fence.of(takeover.takeover_id).shift


@define(eq=False)
class _Copying:
    """Passes over one origin."""

    commands: "Commands"
    settings: Settings
    choice: CopyChoice
    reader: OriginReader
    policy: TakeoverPolicy
    note: Note
    _batches: int = field(default=0, init=False)
    _budget_bytes: int | None = field(default=None, init=False)

    async def one_pass(self) -> CopyTotals:
        """Copy, with a bar of progress on standard error."""
        totals, choice = CopyTotals(), self.choice
        pace = Pace(choice.rows_per_s)
        copier = self.commands.copier(
            reader=self.reader, policy=self.policy, limits=choice.limits, room=self._room, pace=pace
        )
        with click.progressbar(length=await copier.total(), label="Copying", file=sys.stderr) as bar:
            async with aclosing(copier.run(dry_run=choice.dry_run)) as steps:
                async for step in steps:
                    totals.add(step)
                    self._report(step)
                    bar.update(step.examined)
        return totals

    def _report(self, step: CopyStep) -> None:
        for left in step.left:
            self.note({"request_id": left.request_id, "left": left.reason})
        for flagged in step.flagged:
            self.note({"request_id": flagged.request_id, "flags": flagged.flags})

    async def _room(self) -> int | None:
        """Return how many bytes may still be stored; None if nothing is known that limits it."""
        if self._batches % _MEASURED_EVERY == 0:
            self._budget_bytes = await self._left_of_budget()
        self._batches += 1
        free = shutil.disk_usage(self.settings.data_dir).free if self.settings.embedded else None
        return min((each for each in (self._budget_bytes, free) if each is not None), default=None)

    async def _left_of_budget(self) -> int | None:
        size_max_bytes: int | None = self.commands.storage_budget().size_max_bytes
        if size_max_bytes is None:
            return None
        facts = await self.commands.storage_survey().facts()
        return max(0, size_max_bytes - int(facts.stored.size_bytes))


def _written(totals: CopyTotals, output: Output, *, dry_run: bool) -> str:
    return _document(totals, dry_run=dry_run) if output is Output.JSON else _text(totals, dry_run=dry_run)


def _document(totals: CopyTotals, *, dry_run: bool) -> str:
    numbers = {name: getattr(totals, name) for name in ("examined", "written", "unchanged", "taken", "size_bytes")}
    found = {"dry_run": dry_run, **numbers, "left": totals.left, "flagged": totals.flagged}
    return json.dumps(found if totals.redis is None else {**found, "redis": keys_document(totals.redis)}, indent=2)


def _text(totals: CopyTotals, *, dry_run: bool) -> str:
    kept = totals.examined - totals.left.total()
    done = (
        f"Would copy {kept:,} of {totals.examined:,} sessions."
        if dry_run
        else f"Copied {totals.written:,} of {totals.examined:,} sessions: {totals.unchanged:,} were stored already, "
        f"{totals.taken:,} were taken before, {totals.left.total():,} are left."
    )
    reasons = [(f"{number:,}", reason, reason.words) for reason, number in totals.left.most_common()]
    flags = [(f"{number:,}", flag, flag.words) for flag, number in totals.flagged.most_common()]
    parts = [done, *(_listed(title, rows) for title, rows in (("left", reasons), ("taken", flags)) if rows)]
    parts += [] if totals.redis is None else [keys_text(totals.redis)]
    return "\n\n".join(parts)


def _listed(title: str, rows: list[tuple[str, Any, str]]) -> str:
    return table([(title, "why", ""), *((number, str(name), words) for number, name, words in rows)], frozenset({0}))
