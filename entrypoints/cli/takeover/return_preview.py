"""What the dry run of `takeover back` tells."""

import json
from collections.abc import Mapping

from attrs import asdict, define, field

from domain.takeover.mover_ports import ReturnCensus
from domain.takeover.stages import StageCommand
from domain.takeover.unknown_users import unknown_users
from entrypoints.cli.output import Output, table
from entrypoints.cli.takeover.connecting import Connected
from entrypoints.cli.takeover.report_file import Note

_USERS_SHOWN = 100
_CENSUS: Mapping[str, str] = {
    "sessions": "live sessions that would move to the origin",
    "made_here": "of them were made here",
    "sliding": "end at their present expiry, because the origin does not renew sessions",
    "pinned": "keep the script of their function, and follow it no more",
    "unlike": "have scripts that the origin calls in another way, so they may fail there",
    "nameless": "have an owner of more than 128 characters, and lose it",
    "capped": "have a count beyond four bytes, which is cut to 2,147,483,647",
    "keyed": "have responses under idempotency keys, which the origin does not know",
    "executing": "execute now, and move when their executions have ended",
    "waiting": "have executions that wait in the queue, and these never run",
    "scheduled": "have schedules, which end",
    "granted": "further live sessions use grants, which the origin lacks, and stay here until they expire",
    "userless": "have a user that the origin lacks, and are refused without --make-users",
}


@define
class ReturnPreview:
    """What would return, the sessions of users that the origin lacks, and the first of these users."""

    census: ReturnCensus
    userless: int = 0
    missing_users: list[str] = field(factory=list)

    def add(self, user_id: str) -> None:
        """Count a session of a user that is missing."""
        self.userless += 1
        if len(self.missing_users) < _USERS_SHOWN and user_id not in self.missing_users:
            self.missing_users.append(user_id)


async def previewed_return(sides: Connected, note: Note) -> ReturnPreview:
    """Return what would return, and note each session that the origin would refuse for its user."""
    await sides.service.require(StageCommand.BACK)
    now = sides.parts.clock.now()
    preview = ReturnPreview(await sides.parts.returns.census(now))
    async for session_id, user_id in unknown_users(sides.origin, sides.parts.returns, now):
        note({"request_id": str(session_id), "outcome": "user_missing", "user_id": user_id})
        preview.add(user_id)
    return preview


def counted(preview: ReturnPreview, output: Output) -> str:
    """Return the preview as text, or as JSON."""
    numbers = {**asdict(preview.census), "userless": preview.userless}
    if output is Output.JSON:
        return json.dumps({**numbers, "missing_users": preview.missing_users}, indent=2)
    told = table([(f"{numbers[name]:,}", text) for name, text in _CENSUS.items()], frozenset({0}))
    if not preview.missing_users:
        return told
    named = ", ".join(map(json.dumps, preview.missing_users))
    return f"{told}\n\nUsers that the origin lacks (the first {_USERS_SHOWN}; --report has all sessions): {named}"
