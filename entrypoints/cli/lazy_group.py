"""A group of commands that are imported when they are asked for, so that help and completion stay quick."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override


class LazyGroup(click.Group):
    """Has its commands as (`module:command`, one line of help) under their names, in the order to list them."""

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
            formatter.write_dl([(name, told) for name, (_, told) in self.deferred.items()])

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [(name, told) for name, (_, told) in self.deferred.items() if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=told) for name, told in named),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


def examples(*lines: str) -> str:
    """Return the end of a command's help: lines that can be typed as they are."""
    return "\n".join(("\b", "Examples:", *_indented(lines)))


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
