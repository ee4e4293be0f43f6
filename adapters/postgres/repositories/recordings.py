"""Stores calls that the front has recorded, and how they ended in the sandbox."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.takeover import RecordingStatements
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.takeover.comparison import Note
from domain.takeover.judgement import Answer, CallVerdict, Judgement
from domain.takeover.recording import (
    Recorded,
    RecordedCall,
    RecordedCounts,
    Recording,
    RecordingLimits,
    RecordingStore,
    Unrecorded,
)


@define(eq=False)
class PostgresRecordingStore(RecordingStore):
    """Every method is one statement, but `discard`."""

    _gateway: Gateway
    _statements: RecordingStatements

    @override
    async def recording(self) -> Recording | None:
        return _recording(await self._gateway.fetch(self._statements.select_recording, {}))

    @override
    async def start(self, now: datetime, until: datetime) -> Recording | None:
        parameters = {"now": now, "recording_until": until}
        return _recording(await self._gateway.fetch(self._statements.start_recording, parameters))

    @override
    async def record(
        self, calls: Sequence[RecordedCall], unrecorded: Mapping[Unrecorded, int], limits: RecordingLimits
    ) -> Recorded:
        parameters = {
            "call_ids": codec.uuids(call.call_id for call in calls),
            "request_ids": codec.uuids(call.session_id for call in calls),
            "params": codec.texts(call.params for call in calls),
            "results": codec.texts(call.result for call in calls),
            "too_large": unrecorded.get(Unrecorded.TOO_LARGE, 0),
            "unreadable": unrecorded.get(Unrecorded.UNREADABLE, 0),
            "calls_max": limits.calls_max,
            "bytes_max": limits.size_max_bytes,
            "script_calls_max": limits.script_calls_max,
        }
        rows = await self._gateway.fetch(self._statements.record_calls, parameters)
        until = rows[0][0] if rows else None
        return Recorded(until, frozenset(session_id for _, session_id in rows if session_id is not None))

    @override
    async def unjudged(self, after: UUID | None, size: int) -> Sequence[RecordedCall]:
        rows = await self._gateway.fetch(self._statements.select_unjudged, {"after": after, "rows_max": size})
        return [
            RecordedCall(call_id, session_id, JsonText(params), None if result is None else JsonText(result))
            for call_id, session_id, params, result in rows
        ]

    @override
    async def judge(self, judgements: Sequence[Judgement]) -> None:
        parameters = {
            "call_ids": codec.uuids(each.call_id for each in judgements),
            "judgements": codec.texts(_text(each) for each in judgements),
        }
        await self._gateway.fetch(self._statements.update_judgements, parameters)

    @override
    async def judgements(self, after: UUID | None, size: int) -> Sequence[Judgement]:
        rows = await self._gateway.fetch(self._statements.select_judgements, {"after": after, "rows_max": size})
        return [_judgement(*row) for row in rows]

    @override
    async def forget_judgements(self) -> None:
        await self._gateway.fetch(self._statements.delete_judgements, {})

    @override
    async def counts(self) -> RecordedCounts:
        (counts,) = await self._gateway.fetch(self._statements.select_recorded_counts, {})
        return RecordedCounts(*counts)

    @override
    async def discard(self) -> int:
        await self._gateway.fetch(self._statements.delete_recording, {})
        ((removed,),) = await self._gateway.fetch(self._statements.delete_recorded_calls, {})
        return int(removed)


def _recording(rows: Sequence[tuple[Any, ...]]) -> Recording | None:
    if not rows:
        return None
    until, *numbers = rows[0]
    return Recording(until, dict(zip(Unrecorded, numbers, strict=True)))


def _text(judgement: Judgement) -> str:
    answers = {convention: answer.facts() for convention, answer in judgement.answers.items()}
    sizes = {"params_bytes": judgement.params_bytes, "result_bytes": judgement.result_bytes}
    return json.dumps({"language": judgement.language, **sizes, "answers": answers, "codes": list(judgement.codes)})


def _judgement(call_id: UUID, session_id: UUID, script_hash: str, text: str) -> Judgement:
    stored = json.loads(text)
    answers = {
        Convention(name): Answer(
            CallVerdict(answer["verdict"]), answer["pointer"], answer["error"], frozenset(map(Note, answer["notes"]))
        )
        for name, answer in stored["answers"].items()
    }
    return Judgement(
        call_id,
        session_id,
        Language(stored["language"]),
        script_hash,
        stored["params_bytes"],
        stored["result_bytes"],
        answers,
        tuple(stored["codes"]),
    )
