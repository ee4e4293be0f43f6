"""The commands `takeover open`, `takeover status` and `takeover finish`."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import click
from attrs import asdict

from domain.takeover.service import TakeoverState
from domain.takeover.stages import Stage, StageCommand, next_stage, require_end_here
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.invocation import failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.cli.takeover.connecting import Connected, used
from entrypoints.cli.takeover.options import (
    chosen_options,
    lost_option,
    policy_options,
    restored_option,
    source_options,
)

_STATES: Mapping[str, str] = {
    "inbound": "copied, and the origin's",
    "fencing": "moving here",
    "owned": "moved here",
    "returning": "moving to the origin",
    "returned": "moved to the origin",
}
_STAGES: Mapping[Stage, str] = {
    Stage.LOOK: "the origin creates new sessions, and owns its own",
    Stage.OPEN: "this service creates new sessions",
    Stage.ADOPT: "this service creates new sessions, and sessions of the origin move here",
    Stage.BACK: "the origin creates new sessions, and sessions move there",
    Stage.FINISHED: "the takeover is over; this service owns everything",
}


_FINISHED = "The takeover is over. Run `pglambda audit` to see its record."
_DROPPED = "The copies are removed, and the origin keeps its sessions. `pglambda takeover copy` begins again."


@click.command(
    "open",
    epilog=examples(
        "pglambda takeover open --source postgresql://mover@old.example.com/lambda_microservice",
        "pglambda takeover open --dry-run",
    ),
)
@source_options
@restored_option
@lost_option
@policy_options
@dry_run_option
@output_option
@click.pass_context
def open_(context: click.Context, /, dry_run: bool, output: str, **given: Any) -> None:
    """Create new sessions here, and leave those of the origin where they are.

    Every front knows it after 3 s. Without a copy, the options about what is taken count from here on. The way back is
    `takeover back`.
    """
    with failures_reported():
        choose = partial(chosen_options, given, settings_in_force())

        async def enter(sides: Connected) -> Mapping[str, object]:
            stage = sides.takeover.stage
            to = next_stage(StageCommand.OPEN, stage)
            if not dry_run:
                async with sides.claimed("open"):
                    await sides.service.enter(StageCommand.OPEN)
            return {"before": str(stage), "stage": str(to), "changed": to is not stage and not dry_run}

        found = used(context, given, "open", enter, choose=choose, dry_run=dry_run)
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
        return
    before, stage = found["before"], Stage(str(found["stage"]))
    verb = "Would change" if dry_run else "Changed"
    change = f"The stage stays {stage}" if before == stage else f"{verb} the stage from {before} to {stage}"
    click.echo(f"{change}: {_STAGES[stage]}.")


@click.command(epilog=examples("pglambda takeover status", "pglambda takeover status --output json"))
@source_options
@lost_option
@dry_run_option
@output_option
@click.pass_context
def status(context: click.Context, /, dry_run: bool, output: str, **given: Any) -> None:  # noqa: ARG001  # it never writes
    """Show how far the takeover is, and what speaks against its end.

    The command names sessions by which somebody calls the origin behind the front: they were made there after `open`,
    or executed there after they had moved. The exit status is 1 while the takeover cannot be finished.
    """
    with failures_reported():
        state: TakeoverState = used(context, given, "status", lambda sides: sides.service.state())
    click.echo(_shown(state, Output(output)))
    if not state.is_over:
        context.exit(1)


@click.command(epilog=examples("pglambda takeover finish --dry-run", "pglambda takeover finish"))
@source_options
@restored_option
@lost_option
@dry_run_option
@output_option
@click.pass_context
def finish(context: click.Context, /, dry_run: bool, output: str, **given: Any) -> None:
    """End the takeover, and remove the copies that are left.

    Refused while the origin owns a live session, while sessions are between the two sides, or while somebody calls the
    origin behind the front. After `back`, this ends the takeover for the origin: it is
    refused while this service owns a live session. Before `open`, it removes the copies, and the origin keeps its
    sessions. With --origin-lost, it is refused while a copy is left that lives.
    """

    async def end(sides: Connected) -> TakeoverState:
        takeover = await sides.service.require(StageCommand.FINISH)
        if given["origin_lost"]:
            require_end_here(takeover.stage)
        return await (sides.service.state() if dry_run else sides.service.finish())

    with failures_reported():
        state: TakeoverState = used(context, given, "finish", end, dry_run=dry_run)
    if Output(output) is Output.JSON or dry_run:
        click.echo(_shown(state, Output(output)))
    else:
        is_opened = state.takeover.stage is not Stage.LOOK
        click.echo(_FINISHED if is_opened else _DROPPED)
    if dry_run and not state.is_over:
        context.exit(1)


def _shown(state: TakeoverState, output: Output) -> str:
    if output is Output.JSON:
        return json.dumps(_document(state), indent=2, default=str)
    return "\n".join(_lines(state))


def _document(state: TakeoverState) -> Mapping[str, object]:
    return {
        "stage": state.takeover.stage,
        "since": state.takeover.stage_at.isoformat(),
        "source": dict(state.takeover.source),
        "sessions": {str(name or "inbound"): number for name, number in state.sessions.items()},
        "unsettled": state.unsettled,
        "live_at_origin": state.live_there,
        "live_here": state.live_here,
        "live_on_both_sides": state.live_twice,
        "behind_the_front": [
            {"request_id": each.session_id, "created_at": each.created_at, "executions": each.executions}
            for each in state.behind
        ],
        "reports": {name: asdict(seal) for name, seal in state.takeover.seals.items()},
        "can_finish": state.is_over,
    }


def _lines(state: TakeoverState) -> Iterator[str]:
    takeover = state.takeover
    yield f"Stage {takeover.stage} since {takeover.stage_at:%Y-%m-%dT%H:%M:%SZ}: {_STAGES[takeover.stage]}."
    sessions = {str(name or "inbound"): number for name, number in state.sessions.items()}
    rows = [(f"{sessions[name]:,}", text) for name, text in _STATES.items()]
    rows.append((f"{state.unsettled:,}", "of those moved here wait for the origin's last executions"))
    rows.append((f"{state.live_there:,}", "live at the origin"))
    rows.append((f"{state.live_here:,}", "live here, beside those that wait"))
    if state.live_twice:
        text = "live on both sides, because the origin was restored: `takeover adopt` hides them there again"
        rows.append((f"{state.live_twice:,}", text))
    yield table(rows, frozenset({0}))
    for each in state.behind:
        made = "" if each.created_at is None else f"made at {each.created_at:%Y-%m-%dT%H:%M:%SZ}, "
        yield f"Behind the front: {each.session_id}, {made}executed {each.executions} times at the origin."
    for name, seal in takeover.seals.items():
        yield f"Report of {name}, {seal.written_at}, {seal.lines:,} lines: SHA-256 {seal.sha256}."
