"""The command `takeover config`."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from domain.takeover.environment import EnvironmentRefused, read_variables
from domain.takeover.languages import OriginLanguages, OriginRuntime
from domain.takeover.settings import ConvertedSettings, Place, converted
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.cli.takeover.options import mappings_option, origin_languages, text_of
from entrypoints.cli.takeover.plan_report import remark_lines
from entrypoints.cli.takeover.report_file import new_file

_SIZE_MAX = 1024 * 1024
_DATABASE, _DATABASE_FILE = "DATABASE_URL", "DATABASE_URL_FILE"
_NO_MAPPINGS = (
    "The origin chooses by this file, and it was not converted. Name a copy of it with --mappings, and with "
    "--mappings-out where the converted one is to be."
)


@click.command(
    epilog=examples(
        "pglambda takeover config --env .env",
        "docker compose config --format json | pglambda takeover config --env - --output json",
        "pglambda takeover config --env .env --origin-url http://controller:8080 --out pglambda.env",
    )
)
@click.option(
    "--env",
    "environments",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    multiple=True,
    required=True,
    metavar="FILE",
    help="Variables of the origin: an .env file, or JSON of Compose or of a ConfigMap. A later file counts.",
)
@mappings_option
@click.option(
    "--mappings-out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A new file for the converted mapping file.",
)
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="The port of the own API.")
@click.option("--with-redis", is_flag=True, help="The origin is of generation 1, and keeps sessions in Redis too.")
@click.option("--origin-url", metavar="URL", help="Where the front will reach the origin.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A new file for the settings with their secrets. Only this user may read it.",
)
@click.option("--show-secrets", is_flag=True, help="Print secrets too.")
@dry_run_option
@output_option
@click.pass_context
def config(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    environments: Sequence[Path],
    mappings: Path | None,
    mappings_out: Path | None,
    port: int | None,
    with_redis: bool,
    origin_url: str | None,
    out: Path | None,
    show_secrets: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Convert the settings of the origin, and explain what means something else here.

    The command prints settings with which this service starts beside the origin. ORIGIN_PORT is the port of its
    clients, PORT a new one for the own API, and DATABASE_URL stays unset. The command asks neither the origin nor a
    database, and writes only the files that options name.

    The exit status is 1 if a value does not fit, or if the mapping file is missing.
    """
    languages = None if mappings is None else origin_languages(mappings)
    path = None if languages is None or mappings_out is None else str(mappings_out.absolute())
    found = converted(_with_files(_variables(environments)), Place(port, origin_url, path, with_redis))
    faults = [(each.variable, each.words) for each in found.faults]
    if found.mappings is not None and path is None:
        faults.append(("RUNTIME_MAPPINGS_FILE", _NO_MAPPINGS))
    if not dry_run:
        _write(found, languages, mappings_out, out)
    shown = found.settings if show_secrets else found.masked
    text = _document if Output(output) is Output.JSON else _text
    click.echo(text(found, shown, languages, faults))
    if faults:
        context.exit(1)


def _variables(paths: Sequence[Path]) -> Mapping[str, str]:
    variables: dict[str, str] = {}
    for path in paths:
        try:
            variables |= read_variables(text_of(path, _SIZE_MAX))
        except (EnvironmentRefused, ValueError, OSError) as error:
            raise click.BadParameter(f"{str(path)!r}: {error}", param_hint="--env") from None
    return variables


def _with_files(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables with the URL from its file, if the file is here: its characters may need escaping."""
    path = variables.get(_DATABASE_FILE)
    if variables.get(_DATABASE) or not path or not Path(path).is_file():
        return variables
    return {**variables, _DATABASE: text_of(Path(path), _SIZE_MAX).strip()}


def _write(
    found: ConvertedSettings, languages: OriginLanguages | None, mappings_out: Path | None, out: Path | None
) -> None:
    """Write the files that options name; none of them if one of them cannot be made."""
    named = [] if languages is None else [(mappings_out, "--mappings-out", f"{_mapping(languages)}\n")]
    named.append((out, "--out", "".join(f"{line}\n" for line in _lines(found.settings))))
    with ExitStack() as stack:
        made = [(stack.enter_context(new_file(path, option)), text) for path, option, text in named if path is not None]
        for file, text in made:
            file.write(text)


def _lines(settings: Mapping[str, str]) -> Iterator[str]:
    return (f"{name}={shlex.quote(value)}" for name, value in settings.items())


def _mapping(languages: OriginLanguages) -> str:
    return json.dumps({"patterns": languages.converted()}, indent=2)


def _left_out(languages: OriginLanguages) -> Sequence[str]:
    return [rule.pattern for rule in languages.rules if rule.runtime is OriginRuntime.RUST]


def _text(
    found: ConvertedSettings,
    settings: Mapping[str, str],
    languages: OriginLanguages | None,
    faults: Sequence[tuple[str, str]],
) -> str:
    parts = ["\n".join(_lines(settings))]
    if languages is not None:
        parts.append(f"# The converted mapping file:\n{_mapping(languages)}")
        rust = [f"#   {pattern}" for pattern in _left_out(languages)]
        parts += ["\n".join(["# Left out, because they are for Rust:", *rust])] if rust else []
    remarks = [(each.variable, each.words) for each in found.remarks]
    parts += _commented("What does not fit", faults) + _commented("What means something else here", remarks)
    if found.foreign:
        parts.append(f"# Not a setting of the origin, and left out: {', '.join(found.foreign)}")
    return "\n\n".join(parts)


def _commented(title: str, remarks: Sequence[tuple[str, str]]) -> list[str]:
    if not remarks:
        return []
    lines = [line for part in remark_lines(remarks) for line in part.splitlines()]
    return ["\n".join([f"# {title}", *(f"# {line}" for line in lines)])]


def _document(
    found: ConvertedSettings,
    settings: Mapping[str, str],
    languages: OriginLanguages | None,
    faults: Sequence[tuple[str, str]],
) -> str:
    document: dict[str, Any] = {
        "settings": dict(settings),
        "mappings": None if languages is None else json.loads(_mapping(languages)),
        "mappings_left_out": [] if languages is None else _left_out(languages),
        "faults": [{"variable": name, "words": words} for name, words in faults],
        "remarks": [{"variable": each.variable, "words": each.words} for each in found.remarks],
        "foreign": list(found.foreign),
    }
    return json.dumps(document, indent=2)
