"""The start of a takeover: one source, one choice of options, and every command on the same ones."""

from attrs import frozen

from domain.clock import Clock, IdGenerator
from domain.takeover.inspection import SourceServer
from domain.takeover.moving import Takeover
from domain.takeover.options import TakeoverOptions
from domain.takeover.ports import TakeoverStore
from domain.takeover.source import SourceRefused
from domain.takeover.stages import NO_TAKEOVER, Stage, TakeoverRefused

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

    async def begun(self, source: SourceServer, target: SourceServer, options: TakeoverOptions) -> Takeover:
        """Return the takeover, which begins with these options if there is none, or if the last one is over."""
        _require_distinct(source, target)
        now = self._clock.now()
        begun = Takeover(self._ids.new(now), source.fingerprint, options.stored(), Stage.LOOK, now)
        return _from_source(await self._store.begin(begun), source)

    async def chosen(self, source: SourceServer, target: SourceServer, options: TakeoverOptions) -> Takeover:
        """Return the takeover with these options, which begins if there is none.

        Raises TakeoverRefused if other options were chosen when the first session was taken.
        """
        takeover, chosen = await self.begun(source, target, options), options.stored()
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
        takeover = await self._store.takeover()
        if takeover is None:
            raise TakeoverRefused(NO_TAKEOVER)
        return _from_source(takeover, source)


def _require_distinct(source: SourceServer, target: SourceServer) -> None:
    if source.same_database(target):
        raise SourceRefused(
            "The database of this service is the database of the origin.",
            remedy="Name that of the origin with --source. Give the service one of its own: unset DATABASE_URL, or "
            "create another database.",
        )


def _from_source(takeover: Takeover, source: SourceServer) -> Takeover:
    """Return the takeover if this is its source, as far as the role may see; raises SourceRefused."""
    stored, named = takeover.source, source.fingerprint
    differing = sorted(name for name in stored.keys() & named.keys() if stored[name] != named[name])
    if differing:
        facts = ", ".join(f"{name} {named[name]} instead of {stored[name]}" for name in differing)
        raise SourceRefused(
            f"This is not the source of the takeover that began here: {facts}.",
            remedy="Name the source of before. To take over from another one, run `takeover finish` with the source of "
            "before; after `open`, run `takeover back` first if sessions are to stay there.",
        )
    return takeover
