"""Connecting a command to both sides of a takeover, after everything that speaks against it was checked."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen

from domain.takeover.claim import Claim
from domain.takeover.inspection import SourceSchema, SourceServer
from domain.takeover.mover_ports import OriginSessions
from domain.takeover.moving import Takeover
from domain.takeover.options import TakeoverOptions
from domain.takeover.plan import OFFSET_MAX, Generation, GenerationEvidence, missing_grants
from domain.takeover.service import TakeoverService
from domain.takeover.source import SourceAddress, SourceRefused
from domain.takeover.start import Choose, TakeoverStart
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.doctor.report import Level
from entrypoints.cli.invocation import container_of, settings_in_force
from entrypoints.cli.takeover.gathering import clock_difference
from entrypoints.cli.takeover.judging_database import schema_findings
from entrypoints.cli.takeover.options import SourceChoice
from entrypoints.cli.takeover.plan import taking_policy

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands
    from entrypoints.composition.session_moves import TakeoverParts
    from entrypoints.composition.takeover import OriginInspector

HAD_KEYS = "redis"
"""The name under which a move notes that the Redis of the origin had keys: it removes them."""

_TIMEOUT_MS = 10_000
"""For a statement of a command: shorter than its claim, so that no command writes after its claim has ended."""

_CLOCK_SAMPLES = 5
_HOLDER = re.compile(r"pglambda takeover \S+, process (?P<pid>\d+) started (?P<start>\d+) at (?P<host>.+)")
_START_FIELD = 19
"""The place of the start time in /proc/PID/stat, behind the name of the program in parentheses."""


@frozen
class Connected:
    """Both sides of a takeover."""

    parts: "TakeoverParts"
    origin: OriginSessions
    service: TakeoverService
    takeover: Takeover
    start: TakeoverStart
    generations: frozenset[Generation]
    """Those that fit what was seen of the origin."""

    def claim(self, command: str) -> Claim:
        """Return the claim of this process."""
        return self.parts.claim(holder_of(command), has_ended)

    @asynccontextmanager
    async def claimed(self, command: str) -> AsyncIterator[Claim]:
        """Keep other commands away; raises TakeoverRefused if another one moves sessions."""
        claim = self.claim(command)
        await claim.take()
        try:
            yield claim
        finally:
            await claim.leave()


def used(  # noqa: PLR0913  # one for each choice of a command
    context: click.Context,
    given: Mapping[str, Any],
    command: str,
    use: Callable[[Connected], Awaitable[Any]],
    *,
    choose: Choose | None = None,
    dry_run: bool = False,
    makes_users: bool = False,
) -> Any:
    """Connect to both sides as `connected` does, and return what `use` does with them.

    With `origin_lost` among the given options, only this side is connected to.
    """
    settings = patient(settings_in_force(), _TIMEOUT_MS)
    source = None if given.get("origin_lost") else SourceChoice.of(given, settings)

    async def run(commands: Any) -> Any:
        if source is None:
            connection = without_origin(commands)
        else:
            connection = connected(commands, source, command, choose, dry_run=dry_run, makes_users=makes_users)
        async with connection as sides:
            return await use(sides)

    with command_database(container_of(context), settings) as commands:
        return asyncio.run(run(commands))


@asynccontextmanager
async def connected(  # noqa: PLR0913  # as `used`
    commands: "Commands",
    source: SourceChoice,
    command: str,
    choose: Choose | None = None,
    *,
    dry_run: bool = False,
    makes_users: bool = False,
) -> AsyncIterator[Connected]:
    """Connect to both sides; with `choose`, a takeover begins if there is none. A dry run stores nothing.

    Raises TakeoverRefused or SourceRefused if the source is not that of the takeover, is the target or a standby, lacks
    a right for the command, or if the clocks differ too much.
    """
    async with commands.database_access().opened(_CLOCK_SAMPLES):
        parts: TakeoverParts = commands.takeover_parts()
        async with (
            commands.origin_inspector(source.address) as origin,
            commands.origin_inspector(own_address(commands)) as target,
        ):
            server, own = await origin.server(), await target.server()
            await _check(source, server, origin, target, command)
            start: TakeoverStart = commands.takeover_start()
            if source.is_restored:
                takeover = await start.follow(server, own, dry_run=dry_run)
            elif choose is None:
                takeover = await start.stored(server, own)
            else:
                takeover = await start.begun(server, own, choose, dry_run=dry_run)
            generations = await _generations(commands, source, origin, takeover)
        policy = await taking_policy(commands, TakeoverOptions.of(takeover.options), opened=True)
        # Later generations have the address of a Redis, and never connect to it.
        address = source.address if Generation.G1 in generations else evolve(source.address, cache_url=None)
        sessions = commands.origin_sessions(address, takeover.takeover_id, policy, makes_users=makes_users)
        async with sessions as moved:
            yield Connected(parts, moved, parts.service(moved), takeover, start, generations)


@asynccontextmanager
async def without_origin(commands: "Commands") -> AsyncIterator[Connected]:
    """Connect to this side alone, because the origin is lost; raises TakeoverRefused if there is no takeover."""
    async with commands.database_access().opened(_CLOCK_SAMPLES):
        parts: TakeoverParts = commands.takeover_parts()
        start: TakeoverStart = commands.takeover_start()
        takeover = await start.kept()
        copies = parts.lost_origin(takeover)
        yield Connected(parts, copies, parts.service(copies), takeover, start, frozenset())


def own_address(commands: "Commands") -> SourceAddress:
    """Return the address of this service's database, so that it can be compared with that of the origin."""
    url = commands.settings().database_url
    assert url is not None, "the database is open"
    return SourceAddress(url.reveal())


async def _generations(
    commands: "Commands", source: SourceChoice, inspector: "OriginInspector", takeover: Takeover
) -> frozenset[Generation]:
    """Return the generations that are possible; raises SourceRefused if it may be the first one, without its Redis."""
    if source.generation is not None:
        possible = frozenset({source.generation})
    else:
        url = commands.settings().origin_url
        version = None if url is None else await commands.origin_version(url)
        evidence = GenerationEvidence(version, await inspector.written_by_older())
        had_keys = HAD_KEYS in takeover.progress
        possible = (await _with_keys(commands, source, evidence, had_keys=had_keys)).possible
    is_seen = Generation.G1 in possible and Generation.G3 not in possible
    if is_seen and source.address.cache_url is None:
        raise SourceRefused(
            "The origin may be of generation 1, which serves sessions from Redis although their rows are hidden.",
            remedy="Name its Redis with --redis or TAKEOVER_REDIS_URL, or say --generation g2 if it has none.",
        )
    return possible


async def _with_keys(
    commands: "Commands", source: SourceChoice, evidence: GenerationEvidence, *, had_keys: bool
) -> GenerationEvidence:
    """Add that Redis has keys; without any, the first generation may still make some."""
    url = source.address.cache_url
    if url is None or Generation.G1 not in evidence.possible:
        return evidence
    async with commands.origin_cache(url) as cache:
        return evolve(evidence, redis_keys=int(had_keys) or await cache.count(1) or None)


async def _check(
    source: SourceChoice, server: SourceServer, origin: "OriginInspector", target: "OriginInspector", command: str
) -> None:
    if server.is_standby:
        raise SourceRefused(
            "The database of the origin is a standby, which accepts no writes.",
            remedy="Name the primary with --source.",
        )
    schema = await origin.schema()
    await require_schema(origin, server, schema, source.address.timezone)
    clock = await clock_difference(origin, target)
    if not clock.is_acceptable:
        raise SourceRefused(
            f"The clocks of the two databases differ by {abs(clock.ahead.total_seconds()):.1f} s, and at most "
            f"{OFFSET_MAX.seconds} s are allowed: each side judges by its own clock which sessions live.",
            remedy="Let both servers take their time from the network, and repeat the command.",
        )
    lacking = missing_grants(schema, server, with_redis=source.address.cache_url is not None)
    statements = [*lacking.get("plan, copy, verify", ()), *lacking.get(command, ())]
    if statements:
        raise SourceRefused(
            f"The role {server.role} lacks rights in the database of the origin.",
            remedy=f"Let the owner of the tables run: {' '.join(statements)}",
        )


async def require_schema(
    origin: "OriginInspector", server: SourceServer, schema: SourceSchema, timezone: str | None
) -> None:
    """Raise SourceRefused with the first problem that `takeover plan` shows of the schema."""
    others = await origin.other_schemas() if schema.sessions is None else {}
    for finding in schema_findings(server, schema, others, timezone):
        if finding.level is Level.PROBLEM:
            raise SourceRefused(f"{finding.seen[0].upper()}{finding.seen[1:]}. {finding.why}", remedy=finding.remedy)


def holder_of(command: str) -> str:
    """Return the name under which this process claims a takeover."""
    pid = os.getpid()
    return f"pglambda takeover {command}, process {pid} started {_started(pid)} at {socket.gethostname()}"


def has_ended(holder: str) -> bool:
    """Return whether the holder was a process of this host, and has ended; of another host nothing is known."""
    named = _HOLDER.fullmatch(holder)
    if named is None or named["host"] != socket.gethostname():
        return False
    return _started(int(named["pid"])) != int(named["start"])


def _started(pid: int) -> int:
    """Return when a process started, in ticks since the boot; 0 if there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_START_FIELD])
    except (OSError, IndexError, ValueError):
        return 0
