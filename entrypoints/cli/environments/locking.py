"""The command that makes locks, and which language a file is for."""

from datetime import datetime
from pathlib import Path

import click

from domain.environments.environment import lock_of
from domain.environments.lock import LockRefused
from domain.environments.service import InvalidLock
from domain.scripts.language import Language
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples

language_option = click.option(
    "--language",
    type=click.Choice([each.value for each in Language]),
    help="The language of the packages. Default: nodejs for a file of JSON, python for any other.",
)


@click.command(
    epilog=examples(
        "pglambda environments lock requirements.in --to requirements.txt",
        "pglambda environments lock requirements.in --exclude-newer 2026-11-01 --to requirements.txt",
        "pglambda environments lock package.json --to package-lock.json",
    )
)
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@language_option
@click.option(
    "--exclude-newer",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="Take no file that is newer than this day, such as 2026-11-01.",
)
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="The file to write. Default: standard output."
)
@click.pass_context
def lock(
    context: click.Context, manifest: Path, language: str | None, exclude_newer: datetime | None, to: Path | None
) -> None:
    """Write the lock of the packages that MANIFEST names.

    MANIFEST is a requirements.in for Python, or a package.json for Node.js. The lock has one version of each package
    and a digest of each file. Packages come from the index that ENVIRONMENT_INDEX_PYTHON or ENVIRONMENT_INDEX_NODEJS
    names, for the interpreter of this host. uv or npm runs on this machine as the present user; no code of a package
    runs. The file of --to is only written if the lock is accepted.
    """
    wanted = language_of(language, manifest.suffix == ".json")
    before = None if exclude_newer is None else f"{exclude_newer:%Y-%m-%d}"
    with failures_reported():
        text = container_of(context)(settings=settings_in_force()).lock_packages(wanted, manifest, before)
        packages = _packages(wanted, text)
    if to is None:
        click.echo(text, nl=False)
    else:
        _write(to, text)
        click.echo(f"Wrote {to}: {packages:,} package{'' if packages == 1 else 's'}.", err=True)


def language_of(given: str | None, is_json: bool) -> Language:
    """Return the language that an option names, or else that of the file."""
    if given is not None:
        return Language(given)
    return Language.NODEJS if is_json else Language.PYTHON


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}. Name another file by --to.") from error


def _packages(language: Language, text: str) -> int:
    """Return how many packages a lock has; raises InvalidLock."""
    try:
        return len(lock_of(language, text).packages)
    except LockRefused as error:
        raise InvalidLock(error.problems) from error
