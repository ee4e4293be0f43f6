"""Connecting a command to both sides of a takeover, after everything that speaks against it was checked."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from domain.takeover.generation import Generation, GenerationEvidence
from domain.takeover.inspection import SourceServer
from domain.takeover.mover_ports import OriginSessions
from domain.takeover.moving import Takeover
from domain.takeover.options import TakeoverOptions
from domain.takeover.plan import OFFSET_MAX, missing_grants
from domain.takeover.service import TakeoverService
from domain.takeover.source import SourceAddress, SourceRefused
from domain.takeover.stages import Stage, TakeoverRefused
from entrypoints.cli.takeover.gathering import clock_difference
from entrypoints.cli.takeover.options import SourceChoice
from entrypoints.cli.takeover.plan import taking_policy

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands
    from entrypoints.composition.session_moves import TakeoverParts
    from entrypoints.composition.takeover import OriginInspector

TIMEOUT_MS = 10_000
"""For a statement of a command: shorter than its claim, so that no command writes after its claim has ended."""

HAD_KEYS = "redis"
"""The name under which a move notes that the Redis of the origin had keys: it removes them."""

_CLOCK_SAMPLES = 5
_SCHEMA = "meta"


@frozen
class Connected:
    """Both sides of a takeover."""

    parts: "TakeoverParts"
    origin: OriginSessions
    service: TakeoverService
    takeover: Takeover
    generations: frozenset[Generation]
    """Those that fit what was seen of the origin."""


@asynccontextmanager
async def connected(
    commands: "Commands",
    source: SourceChoice,
    command: str,
    options: TakeoverOptions | None = None,
    *,
    makes_users: bool = False,
) -> AsyncIterator[Connected]:
    """Connect to both sides; with `options`, a takeover begins if there is none.

    Raises TakeoverRefused or SourceRefused if the source is not that of the takeover, is the target or a standby, lacks
    a right for the command, or if the clocks differ too much.
    """
    async with commands.database_access().opened(_CLOCK_SAMPLES):
        parts: TakeoverParts = commands.takeover_parts()
        takeover = await parts.store.takeover()
        async with commands.origin_inspector(source.address) as inspector:
            server = await _checked(commands, source, inspector, command)
            generations = await _generations(commands, source, inspector, takeover)
            takeover = await _begun(parts, takeover, server, options)
            _require_same(takeover.source, server.fingerprint)
        policy = await taking_policy(commands, TakeoverOptions.of(takeover.options), opened=True)
        # Later generations have the address of a Redis, and never connect to it.
        address = source.address if Generation.G1 in generations else evolve(source.address, cache_url=None)
        sessions = commands.origin_sessions(address, takeover.takeover_id, policy, makes_users=makes_users)
        async with sessions as origin:
            yield Connected(parts, origin, parts.service(origin), takeover, generations)


async def _generations(
    commands: "Commands", source: SourceChoice, inspector: "OriginInspector", takeover: Takeover | None
) -> frozenset[Generation]:
    """Return the generations that are possible; raises SourceRefused if it may be the first one, without its Redis."""
    if source.generation is not None:
        possible = frozenset({source.generation})
    else:
        url = commands.settings().origin_url
        version = None if url is None else await commands.origin_version(url)
        evidence = GenerationEvidence(version, await inspector.written_by_older())
        had_keys = takeover is not None and HAD_KEYS in takeover.progress
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


async def _begun(
    parts: "TakeoverParts", takeover: Takeover | None, server: SourceServer, options: TakeoverOptions | None
) -> Takeover:
    if takeover is not None and (takeover.stage is not Stage.FINISHED or options is None):
        return takeover
    if options is None:
        raise TakeoverRefused("There is no takeover here. Run `pglambda takeover copy` or `takeover open` first.")
    now = parts.clock.now()
    return await parts.store.begin(Takeover(parts.ids.new(now), server.fingerprint, options.stored(), Stage.LOOK, now))


async def _checked(
    commands: "Commands", source: SourceChoice, inspector: "OriginInspector", command: str
) -> SourceServer:
    server = await inspector.server()
    if server.is_standby:
        raise SourceRefused(
            "The database of the origin is a standby, which accepts no writes.",
            remedy="Name the primary with --source.",
        )
    url = commands.settings().database_url
    assert url is not None, "the database is open"
    async with commands.origin_inspector(SourceAddress(url.reveal(), _SCHEMA)) as target:
        if server.same_database(await target.server()):
            raise SourceRefused(
                "The database of this service is the database of the origin.",
                remedy="Give the service a database of its own: unset DATABASE_URL, or create another database.",
            )
        clock = await clock_difference(inspector, target)
    if not clock.is_acceptable:
        raise SourceRefused(
            f"The clocks of the two databases differ by {abs(clock.ahead.total_seconds()):.1f} s, and at most "
            f"{OFFSET_MAX.seconds} s are allowed: each side judges by its own clock which sessions live.",
            remedy="Let both servers take their time from the network, and repeat the command.",
        )
    lacking = missing_grants(await inspector.schema(), server, with_redis=source.address.cache_url is not None)
    statements = [*lacking.get("plan, copy, verify", ()), *lacking.get(command, ())]
    if statements:
        raise SourceRefused(
            f"The role {server.role} lacks rights in the database of the origin.",
            remedy=f"Let the owner of the tables run: {' '.join(statements)}",
        )
    return server


def _require_same(stored: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise SourceRefused if the two identify different sources, by what both tell."""
    differing = sorted(name for name in stored.keys() & found.keys() if stored[name] != found[name])
    if differing:
        told = ", ".join(f"{name} {found[name]} instead of {stored[name]}" for name in differing)
        raise SourceRefused(
            f"This is not the source of the takeover: {told}.",
            remedy="Name the source with which it began. If that one was replaced by a dump and restore, finish this "
            "takeover with `takeover back` first.",
        )
