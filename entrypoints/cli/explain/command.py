"""The command `explain`."""

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from domain.timeline import Timeline, TimelineReader
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.explain import explanation
from entrypoints.cli.explain.sentences import Evidence, Explanation
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, shown

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_TIMEOUT_MS = 40_000
"""A session may have a long history, and only an operator waits for its count."""

_CLOCK_SAMPLES = 5
"""The shortest of several round trips gives the most precise time."""

_COLOURS = {
    "active": "green",
    "ended": "green",
    "under-way": "green",
    "never-here": "red",
    "foreign": "red",
}


@click.command(
    epilog=examples(
        "pglambda explain 019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f",
        "pglambda explain 019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f --output json",
    )
)
@click.argument("identifier", metavar="ID", type=click.UUID)
@output_option
@click.pass_context
def explain(context: click.Context, identifier: UUID, output: str) -> None:
    """Explain what happened to a session, an execution, a schedule, a webhook, a message to one or a file.

    ID is a request_id, an execution_id, a schedule_id, a webhook_id, a delivery_id or a file_id of any owner. The
    explanation lists what the stored rows prove, with the source of each statement: when the session or execution was
    created, executed, renewed, closed or expired, by which clock, and when it will be removed. For an id without rows
    it says whether the id never existed here, or why that is unknown. The command changes nothing. It takes the
    retention from the settings: use those of the service.
    """
    with failures_reported():
        settings = patient(settings_in_force(), _TIMEOUT_MS)
        with command_database(container_of(context), settings) as commands:
            timeline = asyncio.run(_read(commands, identifier))
            found = explanation.explain(timeline, commands.retention_times())
    click.echo(_document(found, timeline) if Output(output) is Output.JSON else _text(found))


async def _read(commands: "Commands", identifier: UUID) -> Timeline:
    async with commands.database_access().opened(_CLOCK_SAMPLES):
        reader: TimelineReader = commands.timeline()
        return await reader.read(identifier)


def _text(found: Explanation) -> str:
    width = max(len(each.topic) for each in found.statements)
    lines = [f"{each.topic:<{width}}  {shown(each.text)} [{each.source}]" for each in found.statements]
    return "\n".join((click.style(found.summary, fg=_COLOURS.get(found.state, "yellow")), "", *lines))


def _document(found: Explanation, timeline: Timeline) -> str:
    clock = {
        "now": timeline.clock.now.isoformat(),
        "offset_ms": round(timeline.clock.offset_ms, 3),
        "error_bound_ms": round(timeline.clock.error_bound_ms, 3),
    }
    return json.dumps(
        {
            "id": str(timeline.identifier),
            "verdict": found.state,
            "summary": found.summary,
            "statements": [_statement(each) for each in found.statements],
            "clock": clock,
        },
        indent=2,
    )


def _statement(each: Evidence) -> dict[str, Any]:
    return {
        "topic": each.topic,
        "text": each.text,
        "source": each.source,
        "at": each.at.isoformat() if each.at else None,
    }
