"""The command `takeover plan`."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domain.takeover.options import TakeoverOptions
from domain.takeover.plan import PlanFacts
from domain.takeover.source_session import Scriptless, TakeoverPolicy
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.cli.takeover.gathering import Gathering
from entrypoints.cli.takeover.judging import findings
from entrypoints.cli.takeover.options import SourceChoice, chosen_options, policy_options, report_option, source_options
from entrypoints.cli.takeover.plan_report import has_problem, written
from entrypoints.cli.takeover.redis_keys import rdb_option, with_dump
from entrypoints.cli.takeover.report_file import report_file
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands


@click.command(
    epilog=examples(
        "pglambda takeover plan --source postgresql://reader@old.example.com/lambda_microservice",
        "ORIGIN_URL=http://old.example.com:8080 pglambda takeover plan --output json",
        "pglambda takeover plan --owner owners.csv --report left.jsonl",
    )
)
@source_options
@policy_options
@rdb_option
@report_option
@dry_run_option
@output_option
@click.pass_context
def plan(  # one for each option of its own
    context: click.Context,
    /,
    rdb: Path | None,
    report: Path | None,
    dry_run: bool,  # noqa: ARG001  # it never writes
    output: str,
    **given: Any,
) -> None:
    """Look at the origin, and say what a takeover would take and leave.

    The command reads the origin in short transactions, and changes nothing. It tells the server, the schema with all
    deviations, the generation with its evidence, the missing rights with their GRANTs, and the difference of the
    clocks. It counts the sessions by what becomes of them. It parses their scripts in the sandbox, and never runs them.
    Then it explains each setting of the origin, and lists the stages.

    With TAKEOVER_REDIS_URL, --redis or --rdb it compares the keys of the Redis of generation 1 with their rows. A dump
    is as old as its file, and so are its counts.

    With ORIGIN_URL the command asks /health of the origin for its release. The exit status is 1 if something must be
    changed first, or if live sessions would be left with the origin.
    """
    with failures_reported(), report_file(report) as note, ExitStack() as stack:
        settings = patient(settings_in_force())
        container = container_of(context)
        given = {**stack.enter_context(with_dump(container(settings=settings), rdb, given))}
        source, options = SourceChoice.of(given, settings), chosen_options(given, settings)

        async def use(commands: "Commands") -> PlanFacts:
            # The report on the storage opens the database of `commands`, which can be opened once.
            others = container(settings=commands.settings())
            has_database = commands.settings().database_url is not None
            taking = await taking_policy(others, options) if has_database else commands.takeover_policy(options)
            disk = settings.data_dir if settings.embedded else None
            own = container(settings=commands.settings()) if has_database else None
            return await Gathering(commands, source, taking, disk, note, own, rdb is not None).facts()

        facts = _on_database(container, settings, use)
    found = list(findings(facts))
    click.echo(written(facts, found, Output(output)))
    if has_problem(found) or (facts.census is not None and facts.census.left):
        context.exit(1)


async def taking_policy(commands: "Commands", options: TakeoverOptions, *, opened: bool = False) -> TakeoverPolicy:
    """Return how sessions are taken with the options and the settings; the database may be `opened` already."""
    policy: TakeoverPolicy = commands.takeover_policy(options)
    if options.scriptless is Scriptless.LEAVE:
        return policy
    async with nullcontext() if opened else commands.database_access().opened():
        pinning: TakeoverPolicy = await commands.with_shared_functions(policy)
    return pinning


def _on_database(container: "type[Commands]", settings: Settings, use: Callable[["Commands"], Any]) -> PlanFacts:
    """Use the database of this service, or none if there is none yet."""
    if settings.embedded and not container(settings=settings).embedded_postgres().exists:
        facts: PlanFacts = asyncio.run(use(container(settings=settings)))
        return facts
    with command_database(container, settings) as commands:
        found: PlanFacts = asyncio.run(use(commands))
        return found
