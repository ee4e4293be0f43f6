"""The command `takeover`."""

import click

from entrypoints.cli.lazy_group import LazyGroup, examples

_COMMANDS = {
    "plan": ("entrypoints.cli.takeover.plan:plan", "Look at the origin, and say what a takeover would take and leave."),
    "config": (
        "entrypoints.cli.takeover.config:config",
        "Convert the settings of the origin, and explain what means something else here.",
    ),
    "functions": ("entrypoints.cli.takeover.functions:functions", "Register the functions of the origin here."),
    "copy": ("entrypoints.cli.takeover.copy:copy", "Copy the sessions of the origin, which keeps serving them."),
    "verify": (
        "entrypoints.cli.takeover.verify:verify",
        "Compare each session of the origin with what is stored here.",
    ),
    "rehearse": (
        "entrypoints.cli.takeover.rehearse:rehearse",
        "Run recorded calls of the origin's clients in the sandbox, and compare the results.",
    ),
    "open": ("entrypoints.cli.takeover.stages:open_", "Create new sessions here."),
    "adopt": ("entrypoints.cli.takeover.moves:adopt", "Move live sessions of the origin here."),
    "status": ("entrypoints.cli.takeover.stages:status", "Show how far the takeover is."),
    "back": ("entrypoints.cli.takeover.moves:back", "Move live sessions to the origin, and create new ones there."),
    "finish": ("entrypoints.cli.takeover.stages:finish", "End the takeover."),
}


@click.group(
    cls=LazyGroup,
    deferred=_COMMANDS,
    epilog=examples("pglambda takeover plan --source postgresql://reader@old.example.com/lambda_microservice"),
)
def takeover() -> None:
    """Move the sessions of a live lambda-microservice, the origin, to this service.

    Each session has one owner at every instant: the origin, or this service. What cannot be taken stays with the origin
    until it expires. Each command may be interrupted at any point and repeated.
    """
