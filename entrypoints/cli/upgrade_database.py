"""The command `upgrade-database`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from entrypoints.cli.consent import Loss, consent_of, dry_run_option, require_consent, yes_option
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.server.data_dir import DataDir, DataDirError

if TYPE_CHECKING:
    from entrypoints.composition.commands import DatabaseUpgrade

_MIB = 1024 * 1024


@click.command(
    "upgrade-database",
    epilog=examples(
        "pglambda upgrade-database --dry-run",
        "pglambda upgrade-database --old-programs /usr/lib/postgresql/17",
        "pglambda upgrade-database --finish",
    ),
)
@click.option(
    "--old-programs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder above the `bin` of the earlier PostgreSQL. By default those of distributions are searched.",
)
@click.option("--back", is_flag=True, help="Return to the data folder from before the upgrade.")
@click.option("--finish", is_flag=True, help="Remove the kept data folder; there is no way back after that.")
@dry_run_option
@yes_option
@output_option
@click.pass_context
def upgrade_database(  # noqa: PLR0913  # each is an option
    context: click.Context,
    /,
    *,
    old_programs: Path | None,
    back: bool,
    finish: bool,
    dry_run: bool,
    yes: bool,
    output: str,
) -> None:
    """Move the embedded PostgreSQL to the major version of this release.

    Stop the service first. The command dumps the database with the earlier programs, and restores it into a new data
    folder. It may be interrupted at any point and repeated. The earlier data folder stays beside the new one, as
    postgres-MAJOR, until --finish removes it; until then --back returns to it.

    --dry-run checks the programs and the free space, and moves the schema into a folder that it removes again.
    """
    if back and finish:
        raise click.UsageError("--back and --finish exclude each other.")
    with failures_reported(), _upgrade(context) as upgrade:
        if back:
            facts = _back(upgrade, dry_run=dry_run, yes=yes)
        elif finish:
            facts = _finish(upgrade, dry_run=dry_run, yes=yes)
        else:
            facts = _forward(upgrade, old_programs, dry_run=dry_run)
    click.echo(json.dumps(facts, indent=2) if output == Output.JSON else facts["message"])


@contextmanager
def _upgrade(context: click.Context) -> "Iterator[DatabaseUpgrade]":
    """Yield the upgrade of the data folder, which no service uses meanwhile."""
    settings = settings_in_force()
    if not settings.embedded:
        raise DataDirError("DATABASE_URL names a server of your own. Upgrade it as its documentation says.")
    if not settings.data_dir.exists():
        raise DataDirError(f"There is no data folder {settings.data_dir}. Set DATA_DIR as for the service.")
    data_dir = DataDir.hold(settings.data_dir)
    try:
        upgrade = container_of(context)(settings=settings).database_upgrade()
        upgrade.settle()
        yield upgrade
    finally:
        data_dir.release()


def _forward(upgrade: "DatabaseUpgrade", old_programs: Path | None, *, dry_run: bool) -> dict[str, object]:
    if upgrade.major == upgrade.target:
        return {"action": "none", "version": upgrade.major, "message": _is_current(upgrade)}
    plan = upgrade.plan(old_programs)
    facts: dict[str, object] = {
        "action": "check" if dry_run else "upgrade",
        "from": plan.old.version,
        "to": plan.new.version,
        "old_programs": str(plan.old.folder),
        "size_bytes": plan.size_bytes,
        "needed_bytes": plan.needed_bytes,
        "free_bytes": plan.free_bytes,
    }
    bar = click.progressbar(length=2 * plan.size_bytes, label="Upgrading", item_show_func=_phase, file=sys.stderr)
    with bar:
        upgrade.run(plan, lambda phase, copied: bar.update(copied, phase), check_only=dry_run)
    if dry_run:
        space = f"It needs {_mib(plan.needed_bytes)}, and {_mib(plan.free_bytes)} are free."
        text = f"The upgrade from PostgreSQL {plan.old.version} to {plan.new.version} can be made. {space}"
    else:
        text = (
            f"Upgraded from PostgreSQL {plan.old.version} to {plan.new.version}. {_kept(upgrade)}\n"
            "Start the service, and make a backup: earlier ones do not fit the new version. Then run `pglambda "
            "upgrade-database --finish` to free the space, or --back to return."
        )
    return {**facts, "message": text}


def _is_current(upgrade: "DatabaseUpgrade") -> str:
    if not upgrade.kept:
        return f"Nothing to do: the data folder is of PostgreSQL {upgrade.major}, as this release."
    return f"The data folder is of PostgreSQL {upgrade.major}, as this release. {_kept(upgrade)} --finish removes it."


def _back(upgrade: "DatabaseUpgrade", *, dry_run: bool, yes: bool) -> dict[str, object]:
    earlier, present = upgrade.way_back(), upgrade.major
    facts: dict[str, object] = {"action": "check" if dry_run else "back", "from": present, "to": str(earlier.major)}
    loss = f"What was stored since the upgrade to PostgreSQL {present} is not in the data folder of {earlier.major}."
    if dry_run:
        return {**facts, "message": f"Would return to {earlier.path}. {loss}"}
    require_consent([Loss(loss)], consent_of(yes=yes))
    kept = upgrade.back()
    text = (
        f"The data folder is of PostgreSQL {earlier.major} again. The other one is kept as {kept}. Start the release "
    )
    return {**facts, "message": f"{text}that has PostgreSQL {earlier.major}."}


def _finish(upgrade: "DatabaseUpgrade", *, dry_run: bool, yes: bool) -> dict[str, object]:
    losses = [f"{each.path} of {_mib(each.size_bytes)}" for each in upgrade.kept]
    facts: dict[str, object] = {"action": "check" if dry_run else "finish", "removed": losses}
    if not losses:
        return {**facts, "message": "Nothing to do: no data folder is kept."}
    if dry_run:
        return {**facts, "message": f"Would remove {', '.join(losses)}."}
    require_consent([Loss(f"--finish removes {each}.") for each in losses], consent_of(yes=yes))
    upgrade.finish()
    return {**facts, "message": f"Removed {', '.join(losses)}."}


def _kept(upgrade: "DatabaseUpgrade") -> str:
    return " ".join(f"{each.path} ({_mib(each.size_bytes)}) is kept." for each in upgrade.kept)


def _phase(phase: str | None) -> str | None:
    return phase


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:,.0f} MiB"
