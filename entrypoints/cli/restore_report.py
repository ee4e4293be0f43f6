"""What a restore has found and done, as facts and as text."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from domain.identity import uuid7_time
from domain.stored_facts import Contents
from entrypoints.cli.staging import Staged, listed, numbers

Until = datetime | Literal["latest"]
"""The point in time that a restore reaches; "latest" is the end of the archived WAL."""


@frozen
class Present:
    """The database that a restore replaces: its contents, or the reason why they cannot be read."""

    contents: Contents | None
    failure: str = ""


def facts_of_restore(backup: Staged, present: Present | None, until: Until | None) -> dict[str, Any]:
    """Return what a restore finds, for the output of the command."""
    newest = backup.contents and backup.contents.newest_id
    now = None if present is None else present.contents
    return {
        "backup_began_at": backup.label.started_at.isoformat(),
        "made_by": backup.label.text,
        "until": until.isoformat() if isinstance(until, datetime) else until,
        "newest_at": uuid7_time(newest).isoformat() if newest else None,
        "restored": numbers(backup.contents),
        "present": numbers(now) if now else None,
        "lost": None if now is None else _newer(now, backup.contents),
        "pending_migrations": list(backup.schema.pending),
    }


def _newer(contents: Contents, backup: Contents | None) -> dict[str, int]:
    foreign = contents.foreign_sessions - (backup.foreign_sessions if backup else 0)
    return {
        "sessions": contents.newer_sessions + max(0, foreign),
        "executions": contents.newer_executions,
        "api_keys": contents.newer_api_keys,
    }


def loss(facts: dict[str, Any], present: Present, data_dir: Path) -> str:
    """Return the sentences that ask for consent."""
    kept = f"The present data folder is kept as {data_dir}/postgres.old-N."
    if present.failure:
        return (
            f"This replaces the database under {data_dir}, which cannot be read ({present.failure}), by a backup with "
            f"{listed(facts['restored'])}. {kept}"
        )
    return (
        f"This replaces the database under {data_dir} ({listed(facts['present'])}) by a backup with "
        f"{listed(facts['restored'])}. {_lost(facts)} {kept}"
    )


def _lost(facts: dict[str, Any]) -> str:
    if facts["lost"] is None:
        return "What was stored after the backup is lost; it cannot be counted."
    newest = f" (the newest is of {facts['newest_at']})" if facts["newest_at"] else ""
    return f"Newer than the backup{newest}: {listed(facts['lost'])}. A restore loses them."


def text(facts: dict[str, Any]) -> str:
    """Return the output for people."""
    head = "Would restore" if facts["dry_run"] else "Restored"
    point = f", recovered until {facts['until']}" if facts["until"] else ""
    lines = [f"{head} the backup of {facts['backup_began_at']}{point}: {listed(facts['restored'])}."]
    if facts["pending_migrations"]:
        lines.append(f"The next start applies {', '.join(facts['pending_migrations'])}.")
    if facts["present"] is not None or facts.get("former_folder"):
        lines.append(_lost(facts))
    if facts.get("former_folder"):
        lines.append(f"The former data folder is {facts['former_folder']}. Remove it when you do not need it any more.")
    if not facts["dry_run"]:
        lines.append("Start the service, and make a new backup.")
    return "\n".join(lines)
