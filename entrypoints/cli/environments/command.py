"""The commands of environments."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import click

from domain.audit import Actor
from domain.environments.environment import StoredEnvironment, pinned_name
from domain.environments.lock import LOCK_SIZE_MAX
from domain.environments.service import EnvironmentService, NewEnvironment
from domain.identity import Owner
from entrypoints.cli.arguments import owner, span
from entrypoints.cli.consent import Loss, consent_of, dry_run_option, require_consent, yes_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.environments.facts import described, facts, failure_of, listed
from entrypoints.cli.environments.following import followed
from entrypoints.cli.environments.locking import language_of, language_option, lock
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, printable

Result = TypeVar("Result")


def _pinned(text: str) -> tuple[str, int | None]:
    try:
        return pinned_name(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no environment; write a name, or a name and a version as data@3"
        ) from None


def _version(text: str) -> tuple[str, int]:
    name, version = _pinned(text)
    if version is None:
        raise click.BadParameter(f"{text!r} has no version; write {text}@1, as `pglambda environments list` shows it")
    return name, version


_timeout_option = click.option(
    "--timeout",
    "limit",
    type=span,
    metavar="TIME",
    default="1h",
    show_default=True,
    help="How long to wait for the end of the build.",
)


@click.group()
def environments() -> None:
    """Lock, create, list, show and retire sets of packages that scripts may import.

    Such a set is an environment. Its versions never change, and controllers build them in the background.
    """


environments.add_command(lock)


@environments.command(
    epilog=examples(
        "pglambda environments create data requirements.txt --preload numpy --preload pandas --wait",
        "pglambda environments create tools package-lock.json --owner alice",
    )
)
@click.argument("name")
@click.argument("lock_file", metavar="LOCK", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@language_option
@click.option("--preload", multiple=True, metavar="MODULE", help="What to import before scripts start. Repeatable.")
@click.option(
    "--owner", "owners", type=owner, multiple=True, metavar="OWNER", help="Who may use it. Default: everyone."
)
@click.option("--description", default="", help="A text for operators.")
@click.option("--wait", is_flag=True, help="Show the log of the build until it ends.")
@_timeout_option
@output_option
@click.pass_context
def create(  # noqa: PLR0913, PLR0917  # the options of the command
    context: click.Context,
    name: str,
    lock_file: Path,
    language: str | None,
    preload: tuple[str, ...],
    owners: tuple[Owner, ...],
    description: str,
    wait: bool,
    limit: timedelta,
    output: str,
) -> None:
    """Create the next version of NAME, with the packages of the file LOCK.

    Controllers build it in the background. The same content as the newest version makes none; if its build has failed,
    it is built again. With --wait, the exit status is 1 if the version could not be built.
    """
    text = _lock_text(lock_file)
    wanted = language_of(language, text.lstrip().startswith("{"))
    asked = NewEnvironment(name, wanted, text, preload, owners or None, description)

    async def use(service: EnvironmentService, actor: Actor) -> tuple[StoredEnvironment, bool]:
        stored, is_new = await service.create(asked, actor)
        return (await followed(service, stored, limit) if wait else stored), is_new

    stored, is_new = _on_environments(context, use)
    if Output(output) is Output.JSON:
        click.echo(json.dumps({"is_new": is_new, **facts(stored)}, indent=2))
    elif is_new:
        click.echo(f"Created {stored.version}, which {_said(stored.status)}.")
    else:
        click.echo(f"{stored.version} has this content already, and is {stored.status}.")
    _require_built(stored)


@environments.command(
    "list", epilog=examples("pglambda environments list", "pglambda environments list data --output json")
)
@click.argument("name", required=False)
@output_option
@click.pass_context
def list_versions(context: click.Context, name: str | None, output: str) -> None:
    """List the versions of NAME, or of all environments, by name with the newest first."""
    found = _on_environments(context, lambda service, _: service.versions(name))
    if Output(output) is Output.JSON:
        click.echo(json.dumps([facts(each) for each in found], indent=2))
    else:
        click.echo(listed(found) if found else "No environments.")


@environments.command(
    epilog=examples(
        "pglambda environments show data",
        "pglambda environments show data@3 --log",
        "pglambda environments show data@3 --follow",
    )
)
@click.argument("environment", type=_pinned)
@click.option("--log", "with_log", is_flag=True, help="Print the logs of its builds too.")
@click.option("--follow", is_flag=True, help="First show the log of the build until it ends.")
@_timeout_option
@output_option
@click.pass_context
def show(  # noqa: PLR0913, PLR0917  # the options of the command
    context: click.Context,
    environment: tuple[str, int | None],
    with_log: bool,
    follow: bool,
    limit: timedelta,
    output: str,
) -> None:
    """Show a version, such as data@3, or the newest one of an environment, with its packages and its builds.

    With --follow, the exit status is 1 if the version could not be built.
    """

    async def use(service: EnvironmentService, _: Actor) -> StoredEnvironment:
        stored = await service.get(*environment)
        return await followed(service, stored, limit) if follow else stored

    stored = _on_environments(context, use)
    click.echo(json.dumps(facts(stored), indent=2) if Output(output) is Output.JSON else described(stored))
    if with_log and Output(output) is Output.TABLE:
        for build in stored.builds:
            click.echo(f"\n{build.platform}:\n{printable(build.log, sys.stdout)}", nl=False)
    if follow:
        _require_built(stored)


@environments.command(
    epilog=examples("pglambda environments retire data@2 --dry-run", "pglambda environments retire data@2 --yes")
)
@click.argument("version", type=_version)
@dry_run_option
@yes_option
@output_option
@click.pass_context
def retire(context: click.Context, version: tuple[str, int], dry_run: bool, yes: bool, output: str) -> None:
    """Retire a version, such as data@2: no further session begins with it, and those that have it keep it.

    The command asks before it retires the version. Retiring it again changes nothing.
    """

    async def use(service: EnvironmentService, actor: Actor) -> tuple[StoredEnvironment, str]:
        name, number = version
        before = await service.get(name, number)
        rest = [each for each in await service.versions(name) if each.version.version != number]
        if dry_run or before.status == "retired":
            return before, _left(name, rest)
        require_consent([Loss(f"This retires {before.version}. {_left(name, rest)}")], consent_of(yes=yes))
        await service.retire(name, number, actor)
        return await service.get(name, number), _left(name, rest)

    stored, left = _on_environments(context, use)
    if Output(output) is Output.JSON:
        click.echo(json.dumps(facts(stored), indent=2))
    elif stored.status == "retired":
        click.echo(f"{stored.version} is retired. {left}")
    else:
        click.echo(f"Would retire {stored.version}, which is {stored.status}. {left}")


def _said(status: str) -> str:
    return "could not be built" if status == "failed" else f"is {status}"


def _left(name: str, rest: Sequence[StoredEnvironment]) -> str:
    """Return which version new sessions then get."""
    newest = next((str(each.version) for each in rest if each.status == "ready"), None)
    if newest is None:
        return f"No other version of {name} is ready, so no session can begin with it."
    return f"New sessions of {name} get {newest}."


def _on_environments(context: click.Context, use: Callable[[EnvironmentService, Actor], Awaitable[Result]]) -> Result:
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:

        async def call() -> Result:
            async with commands.database_access().opened():
                return await use(commands.environments(), commands.actor())

        return asyncio.run(call())


def _require_built(stored: StoredEnvironment) -> None:
    """Raise ClickException for a version that could not be built."""
    if stored.status == "failed":
        raise click.ClickException(
            f"{stored.version} could not be built: {failure_of(stored)}. Correct what the log shows "
            f"(`pglambda environments show {stored.version} --log`), and create it again."
        )


def _lock_text(path: Path) -> str:
    """Return the text of a lock; raises BadParameter. One byte more than is allowed shows that it is too large."""
    with path.open("rb") as file:
        content = file.read(LOCK_SIZE_MAX + 1)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise click.BadParameter(f"{path} is no text in UTF-8; make it by `pglambda environments lock`") from None
