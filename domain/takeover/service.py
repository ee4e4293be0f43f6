"""The commands that change the stage of a takeover."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, field, frozen

from domain.audit import Act, ActName
from domain.clock import Clock
from domain.takeover.mover_ports import OriginSessions, ReturnStore
from domain.takeover.moving import StageChange, TakenSession, TakenState, Takeover
from domain.takeover.ports import Holding, TakeoverStore
from domain.takeover.stages import NO_TAKEOVER, Stage, StageCommand, TakeoverRefused, next_stage

STAGE_SEEN_S = 3.0
"""Every front trusts a stage for 2 s at most. After this time all of them know a new one."""

_PAGE = 1000
_EXAMINED_MAX = 20_000
_NAMED_MAX = 20

_ACTS: Mapping[StageCommand, ActName] = {
    StageCommand.OPEN: ActName.TAKEOVER_OPEN,
    StageCommand.ADOPT: ActName.TAKEOVER_ADOPT,
    StageCommand.BACK: ActName.TAKEOVER_BACK,
    StageCommand.FINISH: ActName.TAKEOVER_FINISH,
}


@frozen
class OriginCaller:
    """A session by which somebody calls the origin behind the front: it was made there, or executed there."""

    session_id: UUID
    created_at: datetime | None
    executions: int


@frozen
class TakeoverState:
    """What `takeover status` shows.

    `live_there` are sessions that the origin serves, at most 20,000 are counted. `behind` are signs that somebody calls
    the origin behind the front. `unsettled` sessions wait until the origin's last executions have ended. `live_here`
    has the others that live here. `live_twice` are served by both sides: the origin was restored to an earlier state.
    """

    takeover: Takeover
    sessions: Mapping[TakenState | None, int]
    unsettled: int
    live_there: int
    live_here: int
    live_twice: int
    behind: Sequence[OriginCaller]

    @property
    def is_over(self) -> bool:
        """Whether no session is between the two sides, and the side that is left has none.

        Before `open`, this service has none.
        """
        moving = self.sessions[TakenState.FENCING] + self.sessions[TakenState.RETURNING] + self.unsettled
        left = {Stage.LOOK: 0, Stage.BACK: self.live_here}.get(self.takeover.stage, self.live_there)
        return not (moving or left or self.behind)


@define(eq=False)
class TakeoverService:
    """The use cases of the stages. Every method may raise TakeoverRefused, and what the ports raise."""

    _origin: OriginSessions
    _store: TakeoverStore
    _returns: ReturnStore
    _clock: Clock
    _new_act: Callable[[ActName], Act]
    _sleep: Callable[[float], Awaitable[None]]
    _facts: Mapping[str, object] = field(factory=dict)
    """Recorded with every change of the stage."""

    async def require(self, command: StageCommand) -> Takeover:
        """Return the takeover if the command runs in its stage."""
        takeover = await self._stored()
        next_stage(command, takeover.stage)
        return takeover

    async def enter(self, command: StageCommand, details: Mapping[str, object] | None = None) -> bool:
        """Change the stage to that of the command, record it, and wait until every front knows it.

        Returns whether it was another stage before. A repetition waits for the rest of that time: the command that
        changed the stage may have been killed during it.
        """
        takeover, now = await self.require(command), self._clock.now()
        stage = next_stage(command, takeover.stage)
        if stage is takeover.stage:
            age_s = max(0.0, (now - takeover.stage_at).total_seconds())
            await self._sleep(max(0.0, STAGE_SEEN_S - age_s))
            return False
        change = StageChange(self._new_act(_ACTS[command]), {**self._facts, **(details or {})})
        if not await self._store.change_stage(takeover.stage, stage, now, change):
            raise TakeoverRefused("Another command has changed the stage meanwhile. Run `pglambda takeover status`.")
        await self._sleep(STAGE_SEEN_S)
        return True

    async def state(self) -> TakeoverState:
        """Return how far the takeover is, and what speaks against its end."""
        takeover = await self._stored()
        live = await self._all(self._origin.live)
        return TakeoverState(
            takeover,
            await self._store.counts(),
            len(await self._returns.unsettled(self._clock.now(), None, _EXAMINED_MAX)),
            len(live),
            len(await self._all(self._returnable)),
            await self._live_twice(live),
            await self._behind(takeover, live) if takeover.stage in {Stage.OPEN, Stage.ADOPT} else (),
        )

    async def finish(self) -> TakeoverState:
        """End the takeover; raises TakeoverRefused while the side that is left owns a live session.

        After the end, the origin may have sessions of its own, but none that is served here too.
        """
        await self.require(StageCommand.FINISH)
        state = await self.state()
        if state.takeover.stage is not Stage.FINISHED or state.live_twice:
            _require_over(state)
        totals = {f"sessions_{name or 'inbound'}": number for name, number in state.sessions.items()}
        await self.enter(StageCommand.FINISH, totals)
        await self._discard_copies(state.takeover)
        return state

    async def _stored(self) -> Takeover:
        takeover = await self._store.takeover()
        if takeover is None:
            raise TakeoverRefused(NO_TAKEOVER)
        return takeover

    async def _discard_copies(self, takeover: Takeover) -> None:
        await self._store.choose(takeover.options)  # the next copy starts at the first row
        after: UUID | None = None
        while copies := await self._store.inbound_live(None, after, _PAGE):
            await self._store.discard(copies)
            after = copies[-1]

    async def _behind(self, takeover: Takeover, live: Sequence[UUID]) -> Sequence[OriginCaller]:
        """Return sessions that were made at the origin since the stage began, or executed there since their fence."""
        made = [
            OriginCaller(each.session_id, each.created_at, each.execution_count)
            for each in await self._origin.look(live[:_PAGE])
            if each.created_at > takeover.stage_at
        ]
        return [*made, *await self._executed_behind()][:_NAMED_MAX]

    async def _live_twice(self, live: Sequence[UUID]) -> int:
        """Return how many sessions of the origin are served here too; one that moves here meanwhile is not."""
        twice = 0
        for start in range(0, len(live), _PAGE):
            held = await self._returns.held(live[start : start + _PAGE])
            served = [each for each, here in held.items() if here.holding is Holding.SERVED and not here.is_made_here]
            twice += sum(each.is_live for each in await self._origin.look(served)) if served else 0
        return twice

    async def _executed_behind(self) -> Sequence[OriginCaller]:
        found: list[OriginCaller] = []
        after: UUID | None = None
        examined = 0
        while examined < _EXAMINED_MAX and (page := await self._store.taken_page(TakenState.OWNED, after, _PAGE)):
            after, examined = page[-1].session_id, examined + len(page)
            settled = [each for each in page if each.late_count is not None and each.count_at_fence is not None]
            counts = await self._origin.counts([each.session_id for each in settled])
            found += [_grown(each, counts.get(each.session_id, 0)) for each in settled]
        return [each for each in found if each.executions > 0]

    async def _all(self, page: Callable[[UUID | None, int], Awaitable[Sequence[UUID]]]) -> list[UUID]:
        found: list[UUID] = []
        while len(found) < _EXAMINED_MAX and (ids := await page(found[-1] if found else None, _PAGE)):
            found += ids
        return found

    async def _returnable(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._returns.returnable(self._clock.now(), after, size)


def _grown(taken: TakenSession, count: int) -> OriginCaller:
    """Return how many executions the origin has counted beyond those that are known here."""
    return OriginCaller(taken.session_id, None, count - (taken.count_at_fence or 0) - (taken.late_count or 0))


def _require_over(state: TakeoverState) -> None:
    if state.is_over:
        return
    lefts = state.live_there - state.live_twice
    reasons = {
        f"{lefts:,} live sessions are the origin's: `takeover adopt` moves those that can be kept "
        "here; the others, which it names, end when they expire": lefts and state.takeover.stage is not Stage.BACK,
        f"{state.live_twice:,} sessions are served by both sides, because the origin was restored to an earlier state: "
        "`takeover adopt` hides them there again": state.live_twice,
        f"{state.live_here:,} live sessions are here: run `takeover back` again": state.live_here
        and state.takeover.stage is Stage.BACK,
        "sessions are between the two sides: run the command that moves them again": state.sessions[TakenState.FENCING]
        + state.sessions[TakenState.RETURNING],
        f"the origin may still end executions of {state.unsettled:,} sessions: run `takeover adopt` again, which waits "
        "for them": state.unsettled,
        "somebody calls the origin behind the front: `takeover status` names the sessions": len(state.behind),
    }
    told = "; ".join(text for text, is_so in reasons.items() if is_so)
    raise TakeoverRefused(f"The takeover cannot be finished: {told}.")
