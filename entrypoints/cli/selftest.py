"""The attacks on this host's sandbox, as an operator sees them: a progress bar, a table, a verdict."""

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
    from entrypoints.composition.commands import SelfTest, Trial

_EVIDENCE_LENGTH = 70
_HELD = "held"
_COLOURS = {"held": "green", "succeeded": "red", "unclear": "yellow"}


@click.command(epilog=examples("pglambda selftest", "pglambda selftest --language python --output json"))
@click.option(
    "--language",
    "languages",
    type=click.Choice([each.value for each in Language]),
    multiple=True,
    help="Only this language; may be given several times.",
)
@output_option
@click.pass_context
def selftest(context: click.Context, languages: tuple[str, ...], output: str) -> None:
    """Attack this host's sandbox by every known way out.

    Each attack is expected to fail. The exit status is 1 when any succeeds, or could not really be made.
    """
    with failures_reported():
        commands = container_of(context)(settings=settings_in_force())
        trials = asyncio.run(attack(commands.self_test([Language(each) for each in languages] or list(Language))))
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
    """Return the verdicts as text: a table for people, or JSON for programs."""
    return _document(trials) if output is Output.JSON else f"{_table(trials)}\n\n{_summary(trials)}"


def all_held(trials: "Sequence[Trial]") -> bool:
    """Tell whether no attack succeeded, and each was really made."""
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
    rows = [("verdict", "language", "attack", "what it tried", "what stopped it, or what it got")]
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
    return click.style(f"THE SANDBOX DID NOT HOLD: {counts}. Do not run foreign scripts on this host.", fg="red")


def _counts(trials: "Sequence[Trial]") -> dict[str, int]:
    return dict(Counter(trial.verdict for trial in trials).most_common())


def _in_one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= _EVIDENCE_LENGTH else f"{printable[:_EVIDENCE_LENGTH]}..."
