"""The command `install`."""

import difflib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from entrypoints.cli.consent import Loss, consent_of, dry_run_option, require_consent, yes_option
from entrypoints.cli.install.units import (
    CONTROLLER,
    RUNTIME_HOST,
    CannotInstall,
    Installation,
    UnitFile,
    own_command,
    require_visible,
)
from entrypoints.cli.invocation import failures_reported
from entrypoints.cli.lazy_group import examples

_ADDRESS = re.compile(r"(?:[0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")


def _address(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and not _ADDRESS.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not ADDRESS:PORT; write 127.0.0.1:8080 or [::]:8080")
    return text


@click.command(
    epilog=examples(
        "pglambda install --systemd --dry-run",
        "pglambda install --systemd --listen 0.0.0.0:8080",
        "pglambda install --systemd --listen 127.0.0.1:8090 --origin-listen 0.0.0.0:8080",
        "pglambda install --systemd --user",
    )
)
@click.option("--systemd", is_flag=True, help="Write units of systemd. Needed: there is no other kind.")
@click.option("--user", "is_user", is_flag=True, help="For this user's own systemd, not for that of the system.")
@click.option("--runtime-host", is_flag=True, help="For a runtime host, not for a controller.")
@click.option(
    "--listen",
    "address",
    metavar="ADDRESS:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    callback=_address,
    help="Where the socket listens.",
)
@click.option(
    "--origin-listen",
    "origin_address",
    metavar="ADDRESS:PORT",
    callback=_address,
    help="Where a second socket listens, for clients of lambda-microservice. Without it there is none.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    show_default=True,
    help="Write below this folder, of an image for example.",
)
@dry_run_option
@yes_option
def install(  # noqa: PLR0913, PLR0917  # one parameter for each option
    systemd: bool,
    is_user: bool,
    runtime_host: bool,
    address: str,
    origin_address: str | None,
    root: Path,
    dry_run: bool,
    yes: bool,
) -> None:
    """Write units of systemd for this installation.

    The service gets its listening socket from systemd, so a restart refuses no connection. The command says what the
    unit does not deny, and why. An existing file that differs is shown, and replaced only with consent; a file with
    settings is never replaced. Nothing is started.
    """
    if not systemd:
        raise click.UsageError("Say what to write: --systemd.")
    if runtime_host and origin_address is not None:
        raise click.UsageError("A runtime host has no clients of lambda-microservice: leave out --origin-listen.")
    with failures_reported():
        command = own_command(Path(sys.executable))
        if not is_user:
            require_visible(command, Path(sys.executable).resolve())
        name = RUNTIME_HOST if runtime_host else CONTROLLER
        installation = Installation(command, address, name, _config_folder() if is_user else None, origin_address)
        changed = [file for file in installation.files if _differs(file, root)]
        if dry_run:
            for file in changed:
                click.echo(f"# {root / file.path.relative_to('/')}\n{file.text}")
        else:
            require_consent(list(_losses(changed, root)), consent_of(yes=yes))
            _write(changed, root)
    _explain(installation)


def _config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _existing(file: UnitFile, root: Path) -> str | None:
    path = root / file.path.relative_to("/")
    return path.read_text(encoding="utf-8") if path.exists() else None


def _differs(file: UnitFile, root: Path) -> bool:
    existing = _existing(file, root)
    return existing is None or (existing != file.text and not file.is_settings)


def _losses(files: Sequence[UnitFile], root: Path) -> Iterator[Loss]:
    for file in files:
        existing = _existing(file, root)
        if existing is not None:
            texts = existing.splitlines(), file.text.splitlines()
            changes = difflib.unified_diff(*texts, str(file.path), "new", lineterm="")
            yield Loss("\n".join((f"{file.path} differs, and would be replaced:", *changes)))


def _write(files: Sequence[UnitFile], root: Path) -> None:
    for file in files:
        path = root / file.path.relative_to("/")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = path.with_name(f".{path.name}.new")
            staged.unlink(missing_ok=True)
            staged.touch(file.mode, exist_ok=False)
            staged.write_text(file.text, encoding="utf-8")
            staged.replace(path)
        except OSError as error:
            raise CannotInstall(
                f"{path} cannot be written: {error.strerror}. Run the command as root, or with --user for units of "
                "your own."
            ) from error
        click.echo(f"Wrote {path}")


def _explain(installation: Installation) -> None:
    click.echo("\nWhat the unit does not deny to the service, and why:")
    for relaxation in installation.relaxations:
        click.echo(f"  {' '.join(relaxation.directives)}\n    {relaxation.reason}")
    click.echo("\nNext:")
    for command in installation.next_commands:
        click.echo(f"  {command}")
