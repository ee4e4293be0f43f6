"""Consent to what a command destroys: an option for each loss, or an answer on a terminal."""

import sys
from collections.abc import Collection, Sequence

import click
from attrs import frozen

YES = "--yes"

yes_option = click.option("--yes", is_flag=True, help="Do it without a question. Needed if there is no terminal.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Print what the command would do, and change nothing.")


@frozen
class Loss:
    """What a command destroys, with its amount, as a sentence; `option` is the one that allows it."""

    text: str
    option: str = YES


class ConsentMissing(click.ClickException):
    """Nobody has allowed a loss; the exit status is that of a wrong usage."""

    exit_code = 2


def require_consent(losses: Sequence[Loss], given: Collection[str]) -> None:
    """Return if the options `given` allow all losses, or if the operator does so now, on a terminal.

    Raises ConsentMissing without a terminal, ClickException after a no, and Abort after Ctrl-C or the end of the input.
    """
    missing = [loss for loss in losses if loss.option not in given]
    if not missing:
        return
    listed = "\n".join(loss.text for loss in missing)
    if not sys.stdin.isatty():
        options = " ".join(dict.fromkeys(loss.option for loss in missing))
        raise ConsentMissing(f"{listed}\nNothing was changed. To allow this, add {options}.")
    click.echo(listed, err=True)
    if not click.confirm("This cannot be undone. Continue?", err=True):
        raise click.ClickException("Nothing was changed.")


def consent_of(*, yes: bool) -> Collection[str]:
    """Return the options that `--yes` stands for."""
    return {YES} if yes else ()
