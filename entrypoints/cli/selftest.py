"""The command `selftest`."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from domain.scripts.language import Language
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option

if TYPE_CHECKING:
    from entrypoints.composition.selftest import SelfTest, Trial

_EVIDENCE_LENGTH = 70
_HELD = "held"
_COLOURS = {"held": "green", "succeeded": "red", "unclear": "yellow"}


@click.command(
    epilog=examples(
        "pglambda selftest", "pglambda selftest --only egress", "pglambda selftest --language python --output json"
    )
)
@click.option(
    "--language",
    "languages",
    type=click.Choice([each.value for each in Language]),
    multiple=True,
    help="Only this language. Repeat the option for several languages.",
)
@click.option(
    "--only",
    "only",
    multiple=True,
    metavar="CATEGORY",
    help="Only attacks of this category, or group of categories such as egress. Repeat the option for several.",
)
@output_option
@click.pass_context
def selftest(context: click.Context, languages: tuple[str, ...], only: tuple[str, ...], output: str) -> None:
    """Try every known attack on this host's sandbox.

    Attacks of the group egress are on scripts with a network: on the egress process and its rules. Each attack must
    fail. The exit status is 1 if an attack succeeds, or if its script did not do what it should try.
    """
    with failures_reported():
        commands = container_of(context)(settings=settings_in_force())
        test = commands.self_test([Language(each) for each in languages] or list(Language), only)
        if only and not test.attacks:
            raise click.BadParameter(f"{', '.join(only)} names no attacks", param_hint="--only")
        trials = asyncio.run(attack(test))
    click.echo(written(trials, Output(output)))
    if not all_held(trials):
        context.exit(1)


async def attack(test: "SelfTest") -> "Sequence[Trial]":
    """Make every attack, with a progress bar on standard error; raises RuntimeUnavailable if there is no sandbox."""
    trials = []
    with click.progressbar(length=len(test.attacks), label="Attacking the sandbox", file=sys.stderr) as bar:
        async for trial in test.trials():
            trials.append(trial)
            bar.update(1)
    return trials


def written(trials: "Sequence[Trial]", output: Output) -> str:
    """Return the results as a table or as JSON."""
    return _document(trials) if output is Output.JSON else f"{_table(trials)}\n\n{_summary(trials)}"


def all_held(trials: "Sequence[Trial]") -> bool:
    """Tell whether the sandbox held against every attack, and each attack did what it should try."""
    return all(trial.verdict == _HELD for trial in trials)


def _document(trials: "Sequence[Trial]") -> str:
    attacks = [
        {
            "language": trial.attack.language,
            "category": trial.attack.category,
            "name": trial.attack.name,
            "tries": trial.attack.tries,
            "succeeds": trial.attack.succeeds,
            "verdict": trial.verdict,
            "evidence": trial.evidence,
            "elapsed_ms": round(trial.elapsed_ms, 1),
        }
        for trial in trials
    ]
    return json.dumps({"held": all_held(trials), "counts": _counts(trials), "attacks": attacks}, indent=2)


def _table(trials: "Sequence[Trial]") -> str:
    rows = [("result", "language", "attack", "what it tries", "what stopped it, or what it got")]
    rows += [
        (
            each.verdict,
            each.attack.language,
            f"{each.attack.category}/{each.attack.name}",
            each.attack.tries,
            _in_one_line(each.evidence),
        )
        for each in trials
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    cells[0] = click.style(cells[0], fg=_COLOURS.get(row[0]))
    return "  ".join(cells).rstrip()


def _summary(trials: "Sequence[Trial]") -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in _counts(trials).items())
    if all_held(trials):
        return click.style(f"The sandbox held: {counts}.", fg="green")
    return click.style(
        f"THE SANDBOX DID NOT HOLD: {counts}. Do not run scripts of other people on this host.", fg="red"
    )


def _counts(trials: "Sequence[Trial]") -> dict[str, int]:
    return dict(Counter(trial.verdict for trial in trials).most_common())


def _in_one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= _EVIDENCE_LENGTH else f"{printable[:_EVIDENCE_LENGTH]}..."
