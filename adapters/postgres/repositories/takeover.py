"""Stores a takeover: its state, copies of the origin's sessions, and the sessions that were taken."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import asdict, define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.connections.connection import LOADED
from adapters.postgres.connections.errors import StatementRefused
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.inbound import columns_of, hexadecimal_ids, kind_columns, loaded_rows, sample_of
from adapters.postgres.statements.takeover import TakeoverStatements
from domain.audit import Act
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.script import Script
from domain.takeover.moving import (
    InboundSession,
    Original,
    Progress,
    Received,
    ReportSeal,
    StageChange,
    TakenSession,
    TakenState,
    Takeover,
)
from domain.takeover.ordinary import OrdinaryRows
from domain.takeover.ports import TakeoverStore
from domain.takeover.stages import Stage


@define(eq=False)
class PostgresTakeoverStore(TakeoverStore):
    """Every method is one statement."""

    _gateway: Gateway
    _statements: TakeoverStatements

    @override
    async def takeover(self) -> Takeover | None:
        rows = await self._gateway.fetch(self._statements.select_takeover, {})
        return _takeover(rows[0]) if rows else None

    @override
    async def begin(self, takeover: Takeover) -> Takeover:
        parameters = {
            "takeover_id": takeover.takeover_id,
            "source": json.dumps(dict(takeover.source)),
            "options": json.dumps(dict(takeover.options)),
            "stage": takeover.stage,
            "stage_at": takeover.stage_at,
        }
        await self._gateway.fetch(self._statements.insert_takeover, parameters)
        return await self.takeover() or takeover

    @override
    async def change_stage(self, before: Stage, stage: Stage, now: datetime, change: StageChange | None = None) -> bool:
        parameters = {"before": before, "stage": stage, "now": now, **_recorded(change)}
        return bool(await self._gateway.fetch(self._statements.update_takeover_stage, parameters))

    @override
    async def choose(self, options: Mapping[str, object]) -> None:
        await self._gateway.fetch(self._statements.update_takeover_options, {"options": json.dumps(dict(options))})

    @override
    async def follow(self, source: Mapping[str, str], act: Act) -> None:
        parameters = {"source": json.dumps(dict(source)), **codec.act_columns(act)}
        await self._gateway.fetch(self._statements.update_takeover_source, parameters)

    @override
    async def note(self, command: str, progress: Progress) -> None:
        await self._gateway.fetch(self._statements.update_takeover_progress, _noted(command, progress))

    @override
    async def receive(self, sessions: Sequence[InboundSession], command: str, progress: Progress) -> Received:
        each_its_kind = {
            "kinds": codec.numbers(range(1, len(sessions) + 1)),
            "own_hashes": codec.texts([None] * len(sessions)),
            "example_hashes": codec.texts([None] * len(sessions)),
            "waits": True,
        }
        return await self._received({**columns_of(sessions), **each_its_kind, **_noted(command, progress)})

    @override
    async def receive_ordinary(
        self, rows: OrdinaryRows, copies: Sequence[InboundSession | None], command: str, progress: Progress
    ) -> Received:
        if not rows.ids:
            await self.note(command, progress)
            return Received()
        noted = _noted(command, progress)
        kept = [number for number, kind in enumerate(rows.kind_numbers) if copies[kind] is not None]
        ids = {"request_ids": hexadecimal_ids(rows, kept), "sample_ids": hexadecimal_ids(rows, sample_of(kept))}
        if await self._load({**ids, LOADED: loaded_rows(rows, copies), **noted}):
            return Received(written=len(kept))
        return await self._received({**kind_columns(rows, copies), **noted})

    async def _load(self, parameters: Mapping[str, object]) -> bool:
        """Store rows as they came; return False, having stored nothing, if a copy of one is stored or one is taken."""
        try:
            return bool(await self._gateway.fetch(self._statements.load_inbound, parameters))
        except StatementRefused:  # a row beside the sample is stored; any other reason is the next statement's too
            return False

    async def _received(self, parameters: Mapping[str, object]) -> Received:
        ((written, unchanged, taken, _),) = await self._gateway.fetch(self._statements.receive_inbound, parameters)
        return Received(written, unchanged, taken)

    @override
    async def made_here(self, ids: Sequence[UUID]) -> Collection[UUID]:
        return {row[0] for row in await self._gateway.fetch(self._statements.select_made_here, _named(ids))}

    @override
    async def inbound(self, ids: Sequence[UUID]) -> Sequence[InboundSession]:
        return [inbound_of(row) for row in await self._gateway.fetch(self._statements.select_inbound, _named(ids))]

    @override
    async def inbound_live(self, now: datetime | None, after: UUID | None, size: int) -> Sequence[UUID]:
        parameters = {"now": now, "after": after, "rows_max": size}
        return [row[0] for row in await self._gateway.fetch(self._statements.select_live_inbound, parameters)]

    @override
    async def discard(self, ids: Sequence[UUID]) -> int:
        ((removed,),) = await self._gateway.fetch(self._statements.delete_inbound, _named(ids))
        return int(removed)

    @override
    async def take(self, ids: Sequence[UUID], now: datetime) -> Sequence[UUID]:
        parameters = {**_named(ids), "now": now}
        return [row[0] for row in await self._gateway.fetch(self._statements.take_sessions, parameters)]

    @override
    async def untake(self, ids: Sequence[UUID]) -> None:
        await self._gateway.fetch(self._statements.untake_sessions, _named(ids))

    @override
    async def own(self, sessions: Sequence[InboundSession], fenced_at: datetime, now: datetime) -> Sequence[UUID]:
        parameters = {**columns_of(sessions), "fenced_at": fenced_at, "now": now}
        return [row[0] for row in await self._gateway.fetch(self._statements.own_sessions, parameters)]

    @override
    async def give_up(self, ids: Sequence[UUID]) -> int:
        ((removed,),) = await self._gateway.fetch(self._statements.delete_fencing, _named(ids))
        return int(removed)

    @override
    async def taken(self, ids: Sequence[UUID]) -> Sequence[TakenSession]:
        return [taken_of(row) for row in await self._gateway.fetch(self._statements.select_taken, _named(ids))]

    @override
    async def taken_page(self, state: TakenState, after: UUID | None, size: int) -> Sequence[TakenSession]:
        parameters = {"state": state, "after": after, "rows_max": size}
        return [taken_of(row) for row in await self._gateway.fetch(self._statements.select_taken_page, parameters)]

    @override
    async def counts(self) -> Mapping[TakenState | None, int]:
        found = dict.fromkeys([*TakenState, None], 0)
        for state, sessions in await self._gateway.fetch(self._statements.select_takeover_counts, {}):
            found[state and TakenState(state)] = sessions
        return found


def _recorded(change: StageChange | None) -> dict[str, object]:
    if change is None:
        return dict.fromkeys(("act_id", "actor", "origin", "act", "details"))
    return {**codec.act_columns(change.act), "details": json.dumps(dict(change.details))}


def _named(ids: Iterable[UUID]) -> dict[str, object]:
    return {"request_ids": codec.uuids(ids)}


def _noted(command: str, progress: Progress) -> dict[str, object]:
    return {"command": command, "progress": json.dumps(asdict(progress))}


def _progress(values: Mapping[str, Any]) -> Progress:
    seal = values.get("seal")
    return Progress(**{**values, "seal": None if seal is None else ReportSeal(**seal)})


def _takeover(row: tuple[Any, ...]) -> Takeover:
    takeover_id, source, options, stage, stage_at, progress = row
    noted = {command: _progress(values) for command, values in json.loads(progress).items()}
    return Takeover(takeover_id, json.loads(source), json.loads(options), Stage(stage), stage_at, noted)


def inbound_of(row: tuple[Any, ...]) -> InboundSession:
    """Return the session in a row: what it has of the origin, its script, and the columns of a session."""
    spelled_title, user_id, leftovers, script, *columns = row
    session = codec.session_of(columns)
    source = None if session.script_hash is None else Script(script, session.script_hash)
    return InboundSession(session, source, Original(spelled_title, user_id, JsonText(leftovers)))


def taken_of(row: tuple[Any, ...]) -> TakenSession:
    """Return the taken session in a row."""
    session_id, owner, state, spelled_title, user_id, leftovers, *fence = row
    original = Original(spelled_title, user_id, JsonText(leftovers))
    return TakenSession(session_id, Owner(owner), TakenState(state), original, *fence)
