"""A takeover in memory."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.store import MemoryStore
from domain.audit import Act
from domain.takeover.moving import InboundSession, Progress, Received, StageChange, TakenSession, TakenState, Takeover
from domain.takeover.ordinary import OrdinaryRows
from domain.takeover.ports import TakeoverStore
from domain.takeover.stages import Stage

_NIL = UUID(int=0)


@define(eq=False)
class MemoryTakeoverStore(TakeoverStore):
    """Sessions that are owned enter the rows of the fake repositories."""

    _store: MemoryStore
    _takeover: Takeover | None = field(default=None, init=False)
    changes: list[StageChange] = field(factory=list, init=False)

    @override
    async def takeover(self) -> Takeover | None:
        self._store.require_available()
        return self._takeover

    @override
    async def begin(self, takeover: Takeover) -> Takeover:
        self._store.require_available()
        stored = self._takeover
        if stored is None or (stored.takeover_id != takeover.takeover_id and self._is_over(stored, takeover)):
            self._takeover = stored = evolve(takeover, progress={})
        return stored

    def _is_over(self, stored: Takeover, following: Takeover) -> bool:
        if stored.stage is Stage.LOOK:
            moving = {TakenState.FENCING, TakenState.RETURNING}.intersection(
                each.state for each in self._store.taken.values()
            )
            return stored.source != following.source and not (self._store.inbound or moving)
        return stored.stage is Stage.FINISHED

    @override
    async def change_stage(self, before: Stage, stage: Stage, now: datetime, change: StageChange | None = None) -> bool:
        self._store.require_available()
        if self._takeover is not None and self._takeover.stage is before:
            self._takeover = evolve(self._takeover, stage=stage, stage_at=now)
            if change is not None:
                self.changes.append(change)
            if stage in {Stage.LOOK, Stage.FINISHED}:
                self._store.forget_recordings()
        return self._takeover is not None and self._takeover.stage is stage

    @override
    async def choose(self, options: Mapping[str, object]) -> None:
        self._store.require_available()
        if self._takeover is not None:
            self._takeover = evolve(self._takeover, options=options, progress={})

    @override
    async def follow(self, source: Mapping[str, str], act: Act) -> None:
        self._store.require_available()
        if self._takeover is not None and self._takeover.source != source:
            self.changes.append(StageChange(act, {"from": dict(self._takeover.source), "to": dict(source)}))
            self._takeover = evolve(self._takeover, source=source)

    @override
    async def note(self, command: str, progress: Progress) -> None:
        self._store.require_available()
        if self._takeover is not None:
            self._takeover = evolve(self._takeover, progress={**self._takeover.progress, command: progress})

    @override
    async def receive(self, sessions: Sequence[InboundSession], command: str, progress: Progress) -> Received:
        await self.note(command, progress)
        given = {each.session.ref.session_id: each for each in sessions}
        returned = {found.session_id for found in self._of(given) if found.state is TakenState.RETURNED}
        taken = {found.session_id for found in self._of(given)} - returned
        equal = {
            session_id for session_id, each in given.items() if self._store.inbound.get(session_id) == each
        } - taken
        written = given.keys() - taken - equal
        self._store.inbound.update({session_id: given[session_id] for session_id in written})
        self._forget(returned)
        for session_id in returned:
            self._store.sessions.pop(session_id, None)
            self._store.scripts.pop(session_id, None)
        return Received(len(written), len(equal), len(taken))

    @override
    async def receive_ordinary(
        self, rows: OrdinaryRows, copies: Sequence[InboundSession | None], command: str, progress: Progress
    ) -> Received:
        found = zip(rows.content or (), rows.kind_numbers, strict=True)
        return await self.receive(
            [each.inbound for each, number in found if copies[number] is not None], command, progress
        )

    @override
    async def made_here(self, ids: Sequence[UUID]) -> Collection[UUID]:
        self._store.require_available()
        return {each for each in ids if each in self._store.sessions and each not in self._store.taken}

    @override
    async def inbound(self, ids: Sequence[UUID]) -> Sequence[InboundSession]:
        self._store.require_available()
        return [self._store.inbound[session_id] for session_id in ids if session_id in self._store.inbound]

    @override
    async def inbound_live(self, now: datetime | None, after: UUID | None, size: int) -> Sequence[UUID]:
        self._store.require_available()
        live = [
            session_id
            for session_id, each in self._store.inbound.items()
            if session_id > (after or _NIL)
            and (now is None or (each.session.closed_at is None and each.session.expires_at > now))
        ]
        return sorted(live)[:size]

    @override
    async def discard(self, ids: Sequence[UUID]) -> int:
        self._store.require_available()
        untaken = [session_id for session_id in ids if session_id not in self._store.taken]
        return sum(self._store.inbound.pop(session_id, None) is not None for session_id in untaken)

    @override
    async def take(self, ids: Sequence[UUID], now: datetime) -> Sequence[UUID]:
        occupied = await self.made_here(ids)
        for each in await self.inbound([each for each in ids if each not in occupied]):
            session_id, owner = each.session.ref.session_id, each.session.ref.owner
            known = (TakenState.FENCING, each.original, each.session.expires_at)
            taken = TakenSession(session_id, owner, *known, fenced_at=now)
            self._store.taken.setdefault(session_id, taken)
        return self._fencing(ids)

    @override
    async def untake(self, ids: Sequence[UUID]) -> None:
        self._store.require_available()
        self._forget(each for each in self._fencing(ids) if each in self._store.inbound)

    @override
    async def own(self, sessions: Sequence[InboundSession], fenced_at: datetime, now: datetime) -> Sequence[UUID]:
        self._store.require_available()
        owned = self._fencing([each.session.ref.session_id for each in sessions])
        for each in sessions:
            if each.session.ref.session_id in owned:
                self._own(each, fenced_at, now)
        return owned

    def _own(self, inbound: InboundSession, fenced_at: datetime, now: datetime) -> None:
        session = inbound.session
        self._store.sessions.setdefault(session.ref.session_id, session)
        if inbound.script is not None:
            self._store.scripts.setdefault(session.ref.session_id, inbound.script)
        self._store.inbound.pop(session.ref.session_id, None)
        self._store.taken[session.ref.session_id] = TakenSession(
            session.ref.session_id,
            session.ref.owner,
            TakenState.OWNED,
            inbound.original,
            session.expires_at,
            count_at_fence=session.execution_count,
            fenced_at=fenced_at,
            owned_at=now,
        )

    @override
    async def give_up(self, ids: Sequence[UUID]) -> int:
        self._store.require_available()
        fencing = self._fencing(ids)
        self._forget(fencing)
        await self.discard(fencing)
        return len(fencing)

    @override
    async def taken(self, ids: Sequence[UUID]) -> Sequence[TakenSession]:
        self._store.require_available()
        return self._of(ids)

    @override
    async def taken_page(self, state: TakenState, after: UUID | None, size: int) -> Sequence[TakenSession]:
        self._store.require_available()
        later = {key: each for key, each in sorted(self._store.taken.items()) if key > (after or _NIL)}
        return [each for each in later.values() if each.state is state][:size]

    @override
    async def counts(self) -> Mapping[TakenState | None, int]:
        self._store.require_available()
        states = Counter(each.state for each in self._store.taken.values())
        inbound_only = len(self._store.inbound.keys() - set(self._fencing(self._store.inbound)))
        return {**{state: states[state] for state in TakenState}, None: inbound_only}

    def _of(self, ids: Iterable[UUID]) -> Sequence[TakenSession]:
        return [self._store.taken[session_id] for session_id in ids if session_id in self._store.taken]

    def _fencing(self, ids: Iterable[UUID]) -> Sequence[UUID]:
        return [each.session_id for each in self._of(ids) if each.state is TakenState.FENCING]

    def _forget(self, ids: Iterable[UUID]) -> None:
        for session_id in ids:
            self._store.taken.pop(session_id, None)
