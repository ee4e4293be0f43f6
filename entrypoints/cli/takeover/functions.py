"""The command `takeover functions`."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domain.identity import SHARED, Owner
from domain.takeover.function_import import ImportedFunction
from domain.takeover.functions import LeftFunction
from domain.takeover.languages import OriginLanguages
from domain.takeover.source import SourceAddress
from entrypoints.cli.arguments import owner
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, shown
from entrypoints.cli.takeover.options import SourceChoice, mappings_option, origin_languages, source_options

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_PAGE = 16
"""Functions that are read at once; each may have a script and JSON of a MiB."""

_FUNCTIONS_MAX = 100_000

Result = ImportedFunction | LeftFunction

function_owner_option = click.option(
    "--function-owner",
    type=owner,
    metavar="OWNER",
    help="Whose functions they are here. Default: shared, whose functions everybody may use.",
)


@click.command(
    epilog=examples(
        "pglambda takeover functions --dry-run --source postgresql://reader@old.example.com/lambda_microservice",
        "pglambda takeover functions --function-owner alice",
    )
)
@source_options
@mappings_option
@function_owner_option
@dry_run_option
@output_option
@click.pass_context
def functions(  # one option each
    context: click.Context,
    /,
    mappings: Path | None,
    function_owner: Owner | None,
    dry_run: bool,
    output: str,
    **given: Any,
) -> None:
    """Register the functions of the origin here.

    Each function becomes a version, with its times of the origin if its name is free here. A script is parsed, and its
    examples are run in the sandbox: those that hold are kept. A Python function whose one parameter `context` is the
    event gets the convention event-first. A function that has the same script, schema and convention here is left as
    it is, so the command can be repeated. The origin is read in short transactions, and not changed.

    The exit status is 1 if functions were left. No quota of functions applies.
    """
    with failures_reported():
        settings = patient(settings_in_force())
        source = SourceChoice.of(given, settings)
        languages = OriginLanguages() if mappings is None else origin_languages(mappings)

        async def add(commands: "Commands") -> Sequence[Result]:
            owner = function_owner or SHARED
            async with commands.database_access().opened():
                found = added_functions(commands, source.address, owner, languages, dry_run=dry_run)
                return [each async for each in found]

        with command_database(container_of(context), settings) as commands:
            results = asyncio.run(add(commands))
    click.echo(_document(results) if Output(output) is Output.JSON else _text(results, dry_run=dry_run))
    if any(isinstance(each, LeftFunction) for each in results):
        context.exit(1)


async def added_functions(
    commands: "Commands", address: SourceAddress, function_owner: Owner, languages: OriginLanguages, *, dry_run: bool
) -> AsyncIterator[Result]:
    """Register the functions of the origin one by one, and yield what became of each; or what would, in a dry run.

    The caller opens the access to the database.
    """
    async with (
        commands.origin_functions(address) as origin,
        commands.function_importer(function_owner, languages) as importer,
    ):
        after = ""
        for _ in range(_FUNCTIONS_MAX // _PAGE):
            page = await origin.page(after, _PAGE)
            for row in page:
                yield await importer.add(row, dry_run=dry_run)
            if len(page) < _PAGE:
                return
            after = page[-1].language_title


def _facts(result: Result) -> Mapping[str, object]:
    if isinstance(result, LeftFunction):
        facts = {"language_title": result.language_title, "outcome": "left", "reason": result.reason}
        return {**facts, "words": result.reason.words, "detail": result.detail}
    return {
        "language_title": str(result.language_title),
        "outcome": result.outcome,
        "version": result.version,
        "convention": result.convention,
        "examples": result.examples,
        "flags": [{"flag": flag, "words": flag.words} for flag in result.flags],
    }


def _document(results: Sequence[Result]) -> str:
    return json.dumps([_facts(each) for each in results], indent=2)


def _text(results: Sequence[Result], *, dry_run: bool) -> str:
    lines = [line for each in results for line in _lines(each)]
    if not lines:
        return "The origin has no functions."
    return "\n".join([*lines, "Nothing was changed: this was a dry run."] if dry_run else lines)


def _lines(result: Result) -> Sequence[str]:
    if isinstance(result, LeftFunction):
        detail = f" {result.detail}" if result.detail else ""
        return [shown(f"{result.language_title}: left. {result.reason.words}{detail}")]
    outcome = result.outcome.replace("_", " ")
    head = f"{result.language_title}: {outcome}, version {result.version}, convention {result.convention}"
    held = "example holds" if result.examples == 1 else "examples hold"
    return [f"{head}, {result.examples} {held}.", *(f"  {flag.words}" for flag in result.flags)]
