"""The command `storage`."""

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domain.storage.growth import Growth, StorageReport
from domain.storage.storage import Part
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_UNIT = 1024
_DAY = timedelta(days=1)
_MINUTES_PER_DAY = 24 * 60
_LONG_DAYS = 3650
_NUMBERS = frozenset({1, 2, 4, 5})


@click.command(epilog=examples("pglambda storage", "pglambda storage --output json"))
@output_option
@click.pass_context
def storage(context: click.Context, output: str) -> None:
    """Show what is stored, and when the space runs out.

    For each part the table has its size, its oldest row and its growth. Below are the days of the history, and when
    STORAGE_MAX_GB and the disk are reached at the present growth.
    """
    with failures_reported():
        settings = patient(settings_in_force())
        disk = settings.data_dir if settings.embedded else None
        with command_database(container_of(context), settings) as commands:
            report = asyncio.run(storage_report(commands, disk))
    click.echo(written(report, Output(output)))


async def storage_report(commands: "Commands", disk: Path | None) -> StorageReport:
    """Return the report on the container's database; `disk` is a folder on the database's disk, if that is here."""
    async with commands.database_access().opened():
        facts = await commands.storage_survey().facts()
    free_bytes = None if disk is None else shutil.disk_usage(disk).free
    return StorageReport(facts, commands.storage_budget().size_max_bytes, free_bytes)


def written(report: StorageReport, output: Output) -> str:
    """Return the report as tables or as JSON."""
    if output is Output.JSON:
        return json.dumps(_document(report), indent=2)
    return "\n\n".join((table(list(_parts(report)), _NUMBERS), *_history(report), "\n".join(_room(report))))


def _parts(report: StorageReport) -> Iterator[Sequence[str]]:
    yield "part", "size", "rows (estimated)", "oldest", "rows per day", "bytes per day", "observed for"
    stored = report.facts.stored
    for part, amount in stored.parts.items():
        sizes = (_size(amount.size_bytes), f"{amount.rows:,}")
        yield part.value.replace("_", " "), *sizes, _instant(_oldest(report, part)), *_rates(report.growths.get(part))
    yield "all", _size(stored.size_bytes), "", "", "", "", ""


def _rates(growth: Growth | None) -> tuple[str, str, str]:
    if growth is None:
        return "", "", ""
    return f"{growth.rows_per_day:,.0f}", _size(growth.bytes_per_day), _days(growth.seen_for / _DAY)


def _history(report: StorageReport) -> Iterator[str]:
    days = report.facts.stored.history
    if days:
        rows = [(str(each.day), _size(each.amount.size_bytes), f"{each.amount.rows:,}") for each in days]
        yield table([("history of", "size", "rows (estimated)"), *rows], frozenset({1, 2}))


def _room(report: StorageReport) -> Iterator[str]:
    if report.budget_bytes is None:
        yield "STORAGE_MAX_GB is not set: the history is not shortened for its size."
    else:
        days = _until(report, report.days_until_budget, "exceeded")
        yield f"Budget (STORAGE_MAX_GB): {_size(report.budget_bytes)}, {days}"
    if report.disk_free_bytes is not None:
        yield f"Free on the disk: {_size(report.disk_free_bytes)}, {_until(report, report.days_until_disk, 'full')}"
    if not report.growths:
        yield "No part has been stored long enough to compute its growth."


def _until(report: StorageReport, days: float | None, what: str) -> str:
    if days == 0:
        return click.style(f"{what} now.", fg="red")
    if not report.growths:
        return f"unknown when it is {what}."
    if days is None:
        return f"not {what}: rows are removed after their retention, so it ends at about {_in_the_end(report)}."
    if days > _LONG_DAYS:
        return f"not {what} within ten years at the present growth."
    return click.style(f"{what} in {_days(days)} at the present growth.", fg="yellow")


def _in_the_end(report: StorageReport) -> str:
    return _size(report.size_in_the_end_bytes)


def _oldest(report: StorageReport, part: Part) -> datetime | None:
    return report.facts.oldest.get(part)


def _instant(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"


def _days(days: float) -> str:
    if days >= 1:
        return f"{days:,.1f} days"
    minutes = days * _MINUTES_PER_DAY
    return f"{minutes / 60:.1f} hours" if minutes >= 60 else f"{minutes:.0f} minutes"


def _size(size_bytes: float) -> str:
    unit = 0
    while size_bytes >= _UNIT and unit < len(_UNITS) - 1:
        size_bytes, unit = size_bytes / _UNIT, unit + 1
    return f"{size_bytes:,.0f} B" if unit == 0 else f"{size_bytes:,.1f} {_UNITS[unit]}"


def _document(report: StorageReport) -> dict[str, Any]:
    facts = report.facts
    return {
        "measured_at": facts.measured_at.isoformat(),
        "size_bytes": facts.stored.size_bytes,
        "budget_bytes": report.budget_bytes,
        "disk_free_bytes": report.disk_free_bytes,
        "days_until_budget": report.days_until_budget,
        "days_until_disk": report.days_until_disk,
        "parts": {part.value: _part_document(report, part) for part in facts.stored.parts},
        "history_days": [
            {"day": str(each.day), "size_bytes": each.amount.size_bytes, "rows_estimated": each.amount.rows}
            for each in facts.stored.history
        ],
    }


def _part_document(report: StorageReport, part: Part) -> dict[str, Any]:
    amount, growth, oldest = report.facts.stored.parts[part], report.growths.get(part), _oldest(report, part)
    return {
        "size_bytes": amount.size_bytes,
        "rows_estimated": amount.rows,
        "oldest_at": oldest and oldest.isoformat(),
        "rows_per_day": growth and round(growth.rows_per_day, 1),
        "bytes_per_day": growth and round(growth.bytes_per_day, 1),
        "seen_for_seconds": growth and growth.seen_for.total_seconds(),
        "kept_days": growth and growth.kept_days,
    }
