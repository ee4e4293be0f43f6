"""The page of the commands, made out of their own help: `python -m tests.commands_page` writes it."""

from collections.abc import Iterator
from pathlib import Path

import click

from entrypoints.cli.main import cli

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
_WIDTH = 100
_HEAD = """# Commands

The help of each command, as it prints it; `make commands` writes this page anew.

Every command takes its settings from environment variables. The exit status is 0 when a command has done its work, 1 when
it could not or found something wrong, 2 when its arguments or the settings are wrong, and 130 after Ctrl-C. What is told
goes to standard output, as a table or, with `--output json`, for programs; progress and logs go to standard error. Completion
in the shell: `eval "$(pglambda completion bash)"`, likewise zsh and fish.
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
