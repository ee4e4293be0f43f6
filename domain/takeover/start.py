"""The start of a takeover: one source, one choice of options, and every command on the same ones."""

from collections.abc import Callable, Mapping

from attrs import evolve, frozen

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.takeover.inspection import SourceServer
from domain.takeover.moving import REPORT_OF, Progress, ReportSeal, Takeover
from domain.takeover.options import TakeoverOptions
from domain.takeover.ports import TakeoverStore
from domain.takeover.source import SourceRefused
from domain.takeover.stages import NO_TAKEOVER, Stage, TakeoverRefused

Choose = Callable[[], TakeoverOptions]
"""Chooses the options of a takeover that begins."""

_CHANGEABLE = frozenset({Stage.LOOK, Stage.OPEN})
"""The stages in which nothing was taken by the options, so that other ones can be chosen."""


@frozen
class TakeoverStart:
    """Begins a takeover, or continues the one that is stored, always from one source.

    Every method raises SourceRefused if that is the database of this service, or not the source of the takeover, and
    may raise what the port raises.
    """

    _store: TakeoverStore
    _clock: Clock
    _ids: IdGenerator
    _actor: Actor

    async def begun(
        self, source: SourceServer, target: SourceServer, choose: Choose, *, dry_run: bool = False
    ) -> Takeover:
        """Return the takeover, which begins if there is none, or if the last one is over.

        Only then the options are chosen. A dry run returns what would begin, and stores nothing.
        """
        _require_distinct(source, target)
        takeover = await self._store.takeover()
        if takeover is not None and not _is_replaceable(takeover, source):
            return _from_source(takeover, source)
        now = self._clock.now()
        begun = Takeover(self._ids.new(now), source.fingerprint, choose().stored(), Stage.LOOK, now)
        return begun if dry_run else _from_source(await self._store.begin(begun), source)

    async def chosen(self, source: SourceServer, target: SourceServer, options: TakeoverOptions) -> Takeover:
        """Return the takeover with these options, which begins if there is none.

        Raises TakeoverRefused if other options were chosen when the first session was taken.
        """
        takeover, chosen = await self.begun(source, target, lambda: options), options.stored()
        if takeover.options == chosen:
            return takeover
        if takeover.stage not in _CHANGEABLE:
            raise TakeoverRefused(
                f"The takeover is in the stage {takeover.stage}, and sessions were taken with other options. Repeat "
                "the command with the options of before."
            )
        await self._store.choose(chosen)
        return await self._store.takeover() or takeover

    async def stored(self, source: SourceServer, target: SourceServer) -> Takeover:
        """Return the takeover that is stored; raises TakeoverRefused if there is none."""
        _require_distinct(source, target)
        return _from_source(await self.kept(), source)

    async def kept(self) -> Takeover:
        """Return the takeover that is stored, wherever its source is; raises TakeoverRefused if there is none."""
        takeover = await self._store.takeover()
        if takeover is None:
            raise TakeoverRefused(NO_TAKEOVER)
        return takeover

    async def seal(self, command: str, sha256: str, lines: int) -> None:
        """Keep the digest of a report of a command, until its next report; without a takeover it does nothing."""
        seal = ReportSeal(sha256, lines, self._clock.now().isoformat())
        await self._store.note(f"{REPORT_OF}{command}", Progress(seal=seal))

    async def follow(self, source: SourceServer, target: SourceServer, *, dry_run: bool = False) -> Takeover:
        """Return the takeover with this source from now on, because the origin was restored to it.

        It is recorded who says so. A dry run stores nothing. Raises TakeoverRefused if there is no takeover.
        """
        _require_distinct(source, target)
        takeover = await self.kept()
        if not dry_run:
            act = new_act(self._clock, self._ids, self._actor, ActName.TAKEOVER_FOLLOW)
            await self._store.follow(source.fingerprint, act)
        return evolve(takeover, source=source.fingerprint)


def _require_distinct(source: SourceServer, target: SourceServer) -> None:
    if source.same_database(target):
        raise SourceRefused(
            "The database of this service is the database of the origin.",
            remedy="Name that of the origin with --source. Give the service one of its own: unset DATABASE_URL, or "
            "create another database.",
        )


def _is_replaceable(takeover: Takeover, source: SourceServer) -> bool:
    """Return whether the store may replace the takeover: it is over, or has taken nothing from another source."""
    return takeover.stage is Stage.FINISHED or (takeover.stage is Stage.LOOK and bool(_differing(takeover, source)))


def _differing(takeover: Takeover, source: SourceServer) -> Mapping[str, tuple[str, str]]:
    """Return the facts in which the named source differs from the stored one, with both values, if both are known."""
    stored, named = takeover.source, source.fingerprint
    common = sorted(stored.keys() & named.keys())
    return {name: (named[name], stored[name]) for name in common if stored[name] != named[name]}


def _from_source(takeover: Takeover, source: SourceServer) -> Takeover:
    """Return the takeover if this is its source, as far as the role may see; raises SourceRefused."""
    if differing := _differing(takeover, source):
        facts = ", ".join(f"{name} {named} instead of {stored}" for name, (named, stored) in differing.items())
        raise SourceRefused(
            f"This is not the source of the takeover that began here: {facts}.",
            remedy="Name the source of before. If the origin was restored to this database, repeat the "
            "command with --restored. To take over from another origin, end this takeover with the "
            "source of before: run `takeover finish`, and `takeover back` before it if its sessions are to stay there.",
        )
    return takeover
