"""The command `completion`."""

import click
from click.shell_completion import get_completion_class

from entrypoints.cli.lazy_group import examples

_VARIABLE = "_PGLAMBDA_COMPLETE"


@click.command(
    epilog=examples(
        'eval "$(pglambda completion bash)"',
        "pglambda completion zsh > ~/.zfunc/_pglambda",
        "pglambda completion fish > ~/.config/fish/completions/pglambda.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    Evaluate the script in the shell, or save it where the shell loads completions from.
    """
    scripts = get_completion_class(shell)
    assert scripts is not None
    click.echo(scripts(context.find_root().command, {}, "pglambda", _VARIABLE).source())
