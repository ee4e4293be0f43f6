"""The page of the commands, made from their help: `python -m tests.commands_page` writes it."""

from collections.abc import Iterator
from pathlib import Path

import click

from entrypoints.cli.main import cli

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
_WIDTH = 100
_HEAD = """# Commands

Use this page to look up a command and its options. It has the help texts of all commands; `make commands` writes it.

- Every command takes its settings from environment variables.
- The exit status is 0 if the command succeeded, 1 if it failed or found a problem, 2 if its arguments or the settings are
  wrong, and 130 after Ctrl-C.
- Results go to standard output: as a table, or as JSON with `--output json`. Progress and logs go to standard error.
- `eval "$(pglambda completion bash)"` turns on completion in the shell; zsh and fish work too.
"""


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for name, helped in commands(cli, None, "pglambda"):
        parts.append(f"## {name}\n\n```text\n{helped}\n```\n")
    return "\n".join(parts)


def commands(command: click.Command, parent: click.Context | None, name: str) -> Iterator[tuple[str, str]]:
    """Yield each command's whole name and its help, groups before what is in them."""
    settings = {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = click.Context(command, parent=parent, info_name=name.rpartition(" ")[2], **settings)
    yield name, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from commands(inner, context, f"{name} {each}")


if __name__ == "__main__":
    PAGE.write_text(page())
