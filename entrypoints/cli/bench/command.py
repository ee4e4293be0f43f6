"""The command `bench`."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

from domain.scripts.language import Language
from entrypoints.cli.bench.run import Benchmark, CannotMeasure, Measurement, Plan
from entrypoints.cli.invocation import failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.settings.urls import is_loopback

_NUMBERS = frozenset({1, 2, 3, 4, 5})


def _url(_context: click.Context, _parameter: click.Parameter, text: str | None) -> SplitResult | None:
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(f"{text!r} is not a URL such as http://127.0.0.1:8080")
    return parts


@click.command(
    epilog=examples(
        "pglambda bench",
        "pglambda bench --url https://pglambda.example.com --seconds 10 --connections 64",
        'PGLAMBDA_TOKEN="$(pglambda token --owner bench --scope execute:all)" pglambda bench',
    )
)
@click.option("--url", callback=_url, help="The URL of the service. Default: HOST and PORT of the settings.")
@click.option(
    "--seconds", type=click.FloatRange(0.1, 60), default=5.0, show_default=True, help="Seconds for each kind of call."
)
@click.option(
    "--connections", type=click.IntRange(1, 256), default=16, show_default=True, help="Number of concurrent callers."
)
@click.option(
    "--language",
    "languages",
    type=click.Choice([each.value for each in Language]),
    multiple=True,
    help="Only this language. Repeat the option for several languages.",
)
@click.option(
    "--token",
    envvar="PGLAMBDA_TOKEN",
    show_envvar=True,
    help="A token or an API key that may execute. In the environment it stays hidden from other users.",
)
@output_option
@click.pass_context
def bench(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    url: SplitResult | None,
    seconds: float,
    connections: int,
    languages: tuple[str, ...],
    token: str | None,
    output: str,
) -> None:
    """Measure a running service from this machine.

    Each caller initializes sessions, reads them, and executes a script that adds one, without a pause. The results
    include the service, the network and this client. The client needs one CPU core for about twenty thousand calls per
    second, so run it where your callers run, with nothing else on the machine. The calls are real, and the executions
    are in the history. The command closes its sessions at the end; otherwise they expire within ten minutes. The exit
    status is 1 if a call failed.
    """
    chosen = [Language(each) for each in languages] or list(Language)
    with failures_reported():
        plan = Plan(url or _own(), token, seconds, connections, chosen)
        try:
            found = asyncio.run(Benchmark(plan, _progress).run())
        except CannotMeasure as error:
            raise click.ClickException(str(error)) from error
    click.echo(_document(plan, found) if Output(output) is Output.JSON else _text(found))
    if any(each.failures for each in found):
        context.exit(1)


def _own() -> SplitResult:
    settings = settings_in_force()
    host = settings.host if is_loopback(settings.host) else "127.0.0.1"
    return urlsplit(f"http://{f'[{host}]' if ':' in host else host}:{settings.port}")


def _progress(what: str) -> None:
    click.echo(f"{what} ...", err=True)


def _text(found: Sequence[Measurement]) -> str:
    rows = [("call", "per second", "p50 (ms)", "p99 (ms)", "succeeded", "failed")]
    rows += [
        (
            each.name,
            f"{each.rate:,.0f}",
            _ms(each.percentile_ms(0.5)),
            _ms(each.percentile_ms(0.99)),
            f"{len(each.durations_s):,}",
            f"{each.failures.total():,}",
        )
        for each in found
    ]
    failures = [f"{each.name}: {count} x {reason}" for each in found for reason, count in each.failures.most_common()]
    return "\n".join((table(rows, _NUMBERS), *failures))


def _ms(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.1f}"


def _document(plan: Plan, found: Sequence[Measurement]) -> str:
    return json.dumps(
        {
            "url": plan.url._replace(netloc=plan.url.netloc.rpartition("@")[2]).geturl(),
            "seconds": plan.seconds,
            "connections": plan.connections,
            "calls": [_measured(each) for each in found],
        },
        indent=2,
    )


def _measured(each: Measurement) -> dict[str, Any]:
    return {
        "name": each.name,
        "per_second": round(each.rate, 1),
        "p50_ms": each.percentile_ms(0.5),
        "p99_ms": each.percentile_ms(0.99),
        "answered": len(each.durations_s),
        "failures": dict(each.failures),
    }
