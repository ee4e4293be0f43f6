"""Documents and messages name commands, options and make targets that exist."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from entrypoints.cli.main import cli

ROOT = Path(__file__).parents[2]
SOURCES = [path for package in ("domain", "adapters", "entrypoints") for path in (ROOT / package).rglob("*.py")]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
OTHERS = [*(ROOT / "deploy").rglob("*.yml"), ROOT / "docs/openapi.json", ROOT / "Makefile"]

QUOTED = re.compile(r"`((?:[A-Z_]+=\S+ )*pglambda [^`]+)`")
FENCED = re.compile(r"^ *```[a-z]*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
LINE = re.compile(r"^ *(?:\$ )?((?:[A-Z_]+=\S+ )*pglambda [^\n]+)", re.MULTILINE)
TARGET = re.compile(r"`make ([a-z-]+)")
PLACEHOLDER = "{}"
ENDS_A_COMMAND = {"|", "||", "&&", ";", ">", PLACEHOLDER}


def texts_of(source: Path) -> Iterator[str]:
    """Yield the strings of a module that may mention a command, with a placeholder for each value in them."""
    text = source.read_text()
    for node in ast.walk(ast.parse(text)) if "pglambda" in text else ():
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else PLACEHOLDER for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def mentions() -> dict[str, set[str]]:
    """Return each mentioned command line, and the files that mention it."""
    found: dict[str, set[str]] = {}
    for path in (*DOCUMENTS, *OTHERS, *SOURCES):
        texts = texts_of(path) if path.suffix == ".py" else [path.read_text()]
        for text in texts:
            lines = [line for block in FENCED.findall(text) for line in LINE.findall(block)]
            for mention in (*QUOTED.findall(text), *lines):
                found.setdefault(" ".join(mention.split()), set()).add(str(path.relative_to(ROOT)))
    return found


def unknown(mention: str) -> Iterator[str]:
    """Yield what a command line names and the command line does not have."""
    words = re.sub(r"^(?:[A-Z_]+=\S+ )*pglambda ", "", mention).rstrip("\\")
    command: click.Command = cli
    options = {"--help", "--version"}
    for word in shlex.split(words, comments=True):
        if word in ENDS_A_COMMAND:
            return
        if word.startswith("--"):
            if word.partition("=")[0] not in options:
                yield word
        elif isinstance(command, click.Group):
            # "up|down" stands for each of the two.
            inner = {each: command.get_command(click.Context(command), each) for each in word.split("|")}
            yield from (each for each, one in inner.items() if one is None)
            command = next(iter(inner.values())) or click.Command(None)
            options |= {name for each in command.params for name in each.opts}


MENTIONS = mentions()


def test_mentions_are_found_in_documents_messages_and_examples():
    files = set().union(*MENTIONS.values())
    assert {"README.md", "docs/commands.md", "docs/operations.md", "deploy/prometheus/alerts.yml"} <= files
    assert sum(each.endswith(".py") for each in files) > 5


@pytest.mark.parametrize("mention", MENTIONS)
def test_a_mentioned_command_exists_with_its_options(mention):
    assert not list(unknown(mention)), f"{sorted(MENTIONS[mention])} name `{mention}`"


@pytest.mark.parametrize(
    ("mention", "missing"),
    [
        ("pglambda clone", ["clone"]),
        ("pglambda migrate up|sideways", ["sideways"]),
        ("PORT=1 pglambda serve --daemon", ["--daemon"]),
        ("pglambda keys create --owner alice | less --quiet", []),
    ],
)
def test_what_does_not_exist_is_recognised(mention, missing):
    assert list(unknown(mention)) == missing


def test_mentioned_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {each for path in (*DOCUMENTS, *SOURCES) for each in TARGET.findall(path.read_text())}
    assert named
    assert named <= targets, f"the Makefile has no target {sorted(named - targets)}"
