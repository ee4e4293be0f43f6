"""A group whose commands are imported when they run, so that help and completion are fast."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override


class LazyGroup(click.Group):
    """Maps the names of commands, in the order of the help, to (`module:command`, one line of help)."""

    def __init__(self, *given: Any, deferred: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*given, **options)
        self.deferred = deferred

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.deferred)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.deferred:
            return None
        module, _, name = self.deferred[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in self.deferred.items()])

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [(name, help_text) for name, (_, help_text) in self.deferred.items() if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=text) for name, text in named),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


def examples(*lines: str) -> str:
    """Return the end of a command's help: example lines that run as they are."""
    return "\n".join(("\b", "Examples:", *_indented(lines)))


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
