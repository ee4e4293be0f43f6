"""The start of a takeover: one source, one choice of options, and every command on the same ones."""

from attrs import frozen

from domain.clock import Clock, IdGenerator
from domain.takeover.inspection import SourceServer
from domain.takeover.moving import Takeover
from domain.takeover.options import TakeoverOptions
from domain.takeover.ports import TakeoverStore
from domain.takeover.stages import Stage, TakeoverRefused

_CHANGEABLE = frozenset({Stage.LOOK, Stage.FRONT, Stage.OPEN})
"""The stages in which nothing was taken by the options, so that other ones can be chosen."""


@frozen
class TakeoverStart:
    """Begins a takeover, or continues the one that is stored. Both methods may raise what the port raises."""

    _store: TakeoverStore
    _clock: Clock
    _ids: IdGenerator

    async def begun(self, source: SourceServer, target: SourceServer, options: TakeoverOptions) -> Takeover:
        """Return the takeover from this source with these options, which begins if there is none.

        Raises TakeoverRefused if the source is the database of this service, if a takeover from another source is not
        finished, or if other options were chosen when the first session was taken.
        """
        if source.same_database(target):
            raise TakeoverRefused(
                "The source is the database of this service. Name the database of the origin with --source."
            )
        now, chosen = self._clock.now(), options.stored()
        takeover = await self._store.begin(Takeover(self._ids.new(now), source.fingerprint, chosen, Stage.LOOK, now))
        _require_source(takeover, source)
        if takeover.options == chosen:
            return takeover
        if takeover.stage not in _CHANGEABLE:
            raise TakeoverRefused(
                f"The takeover is in the stage {takeover.stage}, and sessions were taken with other options. Repeat "
                "the command with the options of before."
            )
        await self._store.choose(chosen)
        return await self._store.takeover() or takeover

    async def stored(self, source: SourceServer) -> Takeover:
        """Return the takeover that is stored; raises TakeoverRefused if there is none, or if it has another source."""
        takeover = await self._store.takeover()
        if takeover is None:
            raise TakeoverRefused("There is no takeover here. Run `pglambda takeover copy` first.")
        _require_source(takeover, source)
        return takeover


def _require_source(takeover: Takeover, source: SourceServer) -> None:
    """Raise TakeoverRefused unless the source is that of the takeover, as far as the role may see."""
    stored, named = takeover.source, source.fingerprint
    differing = [name for name in stored.keys() & named.keys() if stored[name] != named[name]]
    if differing:
        facts = ", ".join(f"{name} {named[name]} instead of {stored[name]}" for name in sorted(differing))
        raise TakeoverRefused(
            f"The takeover that began here has another source: {facts}. Name the source of before, or finish the "
            "takeover."
        )
