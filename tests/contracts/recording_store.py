"""The contract of RecordingStore."""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.errors import StorageUnavailable
from domain.identity import uuid7_at
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.takeover.comparison import Note
from domain.takeover.judgement import Answer, CallVerdict, Judgement
from domain.takeover.ports import TakeoverStore
from domain.takeover.recording import (
    Recorded,
    RecordedCall,
    RecordedCounts,
    Recording,
    RecordingLimits,
    RecordingStore,
    Unrecorded,
)
from domain.takeover.stages import Stage
from tests.contracts.storage import Storage
from tests.contracts.takeover_store import HOSTILE, emptied, inbound, origin_id, receive, takeover_of

MINUTE = timedelta(minutes=1)
LIMITS = RecordingLimits()
NOTHING = dict.fromkeys(Unrecorded, 0)
PARAMS, RESULT = JsonText('{"text": "é"}'), JsonText("[1.50, null]")
SIZE = len(PARAMS.encode()) + len(RESULT)


def call_of(storage: Storage, number: int, session: int = 0, **facts: object) -> RecordedCall:
    """Return the call with this number of a session, by the number of the session."""
    call_id = uuid7_at(storage.clock.now(), number << 8)
    return evolve(RecordedCall(call_id, origin_id(session), PARAMS, RESULT), **facts)


def judgement_of(call: RecordedCall, script_hash: str) -> Judgement:
    answers = {
        Convention.ORIGIN: Answer(CallVerdict.DIFFERS, "/a/0", notes=frozenset(Note)),
        Convention.OWN: Answer(CallVerdict.FAILS, error="SCRIPT_ERROR KeyError"),
    }
    return Judgement(call.call_id, call.session_id, Language.NODEJS, script_hash, 13, 12, answers, ("N1", "P4-missing"))


class RecordingStoreContract:
    """Subclasses have a fixture `storage`, and `store` and `recordings` over the same data."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def store(self, storage: Storage) -> TakeoverStore:
        raise NotImplementedError

    @pytest.fixture
    def recordings(self, storage: Storage) -> RecordingStore:
        raise NotImplementedError

    @pytest.fixture
    async def until(self, storage, store, recordings):
        """The end of a recording that is going on, with three copies: two of one script, and one of another."""
        await store.begin(takeover_of(storage))
        first, other = inbound(storage, 0), inbound(storage, 2)
        second = evolve(inbound(storage, 1, script_hash=first.session.script_hash), script=first.script)
        await receive(store, first, second, other)
        until = storage.clock.now() + MINUTE
        await recordings.start(storage.clock.now(), until)
        return until

    async def test_nothing_is_recorded_before_a_recording_starts(self, storage, store, recordings):
        await receive(store, inbound(storage))
        assert await recordings.recording() is None
        assert await recordings.record([call_of(storage, 1)], NOTHING, LIMITS) == Recorded(None)
        assert await recordings.counts() == RecordedCounts(0, 0, 0)

    async def test_a_recording_needs_a_takeover_that_is_not_finished(self, storage, store, recordings):
        now = storage.clock.now()
        assert await recordings.start(now, now + MINUTE) is None
        await store.begin(takeover_of(storage))
        await store.change_stage(Stage.LOOK, Stage.FINISHED, now)
        assert await recordings.start(now, now + MINUTE) is None
        assert await recordings.recording() is None

    async def test_a_recording_that_is_going_on_ends_at_the_later_instant(self, storage, recordings, until):
        now = storage.clock.now()
        await recordings.record([], {Unrecorded.TOO_LARGE: 2}, LIMITS)
        for given, expected in ((until - MINUTE / 2, until), (until + MINUTE, until + MINUTE)):
            found = Recording(expected, {**NOTHING, Unrecorded.TOO_LARGE: 2})
            assert await recordings.start(now, given) == found
            assert await recordings.recording() == found

    async def test_a_new_recording_keeps_the_calls_and_counts_anew(self, storage, recordings, until):
        await recordings.record([call_of(storage, 1)], {Unrecorded.UNREADABLE: 1}, LIMITS)
        storage.clock.advance(MINUTE)
        assert await recordings.start(until, until + MINUTE) == Recording(until + MINUTE, NOTHING)
        assert (await recordings.counts()).calls == 1

    async def test_calls_are_stored_as_they_are(self, storage, recordings, until):
        text = JsonText(f'"{"".join(each for each in HOSTILE if each >= " ")}"')
        calls = [call_of(storage, 1), call_of(storage, 2, 2, result=None), call_of(storage, 3, 1, params=text)]
        assert await recordings.record(calls, NOTHING, LIMITS) == Recorded(until)
        assert await recordings.unjudged(None, 10) == calls
        assert await recordings.unjudged(calls[0].call_id, 1) == calls[1:2]
        assert await recordings.counts() == RecordedCounts(3, 0, 2)

    async def test_a_call_that_is_stored_again_is_stored_once(self, storage, recordings, until):
        await recordings.record([call_of(storage, 1)], NOTHING, LIMITS)
        await recordings.record([call_of(storage, 1)], NOTHING, LIMITS)
        assert (await recordings.counts()).calls == 1

    async def test_sessions_without_a_copy_or_a_script_are_not_wanted(self, storage, store, recordings, until):
        await receive(store, emptied(inbound(storage, 3)))
        calls = [call_of(storage, 1, 3), call_of(storage, 2, 4), call_of(storage, 3)]
        recorded = await recordings.record(calls, {Unrecorded.TOO_LARGE: 1, Unrecorded.UNREADABLE: 2}, LIMITS)
        assert recorded == Recorded(until, frozenset({origin_id(3), origin_id(4)}))
        assert await recordings.unjudged(None, 10) == calls[2:]
        found = await recordings.recording()
        assert found.unrecorded == {Unrecorded.UNCOPIED: 2, Unrecorded.TOO_LARGE: 1, Unrecorded.UNREADABLE: 2}

    async def test_each_script_has_some_calls_however_many_sessions_it_has(self, storage, recordings, until):
        limits = RecordingLimits(calls_max=100, script_calls_max=2)
        calls = [call_of(storage, number, session) for number, session in enumerate([0, 1, 0, 2])]
        assert await recordings.record(calls[:2], NOTHING, limits) == Recorded(until)
        assert await recordings.record(calls[2:], NOTHING, limits) == Recorded(until, frozenset({origin_id(0)}))
        assert await recordings.unjudged(None, 10) == [*calls[:2], calls[3]]

    async def test_the_fuller_the_store_is_the_fewer_calls_of_each_script_are_kept(self, storage, recordings, until):
        limits = RecordingLimits(calls_max=4, script_calls_max=3)
        assert [limits.script_share(calls) for calls in range(6)] == [3, 2, 2, 1, 1, 1]
        await recordings.record([call_of(storage, number) for number in range(2)], NOTHING, limits)
        assert (await recordings.record([call_of(storage, 2)], NOTHING, limits)).unwanted == {origin_id(0)}
        await recordings.record([call_of(storage, number, 2) for number in range(3, 6)], NOTHING, limits)
        assert (await recordings.counts()).calls == 4

    @pytest.mark.parametrize("limits", [RecordingLimits(calls_max=2), RecordingLimits(size_max_bytes=3 * SIZE - 1)])
    async def test_the_calls_are_limited_in_all(self, limits, storage, recordings, until):
        calls = [call_of(storage, number, 2 * (number % 2)) for number in range(3)]
        assert (await recordings.record(calls, NOTHING, limits)).unwanted == {origin_id(0)}
        assert (await recordings.record([call_of(storage, 4, 1)], NOTHING, limits)).unwanted == {origin_id(1)}
        assert await recordings.unjudged(None, 10) == calls[:2]

    async def test_judgements_are_stored_once_per_call(self, storage, recordings, until):
        calls = [call_of(storage, number) for number in range(3)]
        await recordings.record(calls, NOTHING, LIMITS)
        script_hash = inbound(storage).script.hash
        judgements = [judgement_of(call, script_hash) for call in calls[:2]]
        await recordings.judge([*judgements, judgement_of(call_of(storage, 9), script_hash)])
        assert await recordings.judgements(None, 10) == judgements
        assert await recordings.judgements(calls[0].call_id, 10) == judgements[1:]
        assert await recordings.judgements(None, 1) == judgements[:1]
        assert await recordings.unjudged(None, 10) == calls[2:]
        assert await recordings.counts() == RecordedCounts(3, 2, 1)

    async def test_forgotten_judgements_leave_the_calls(self, storage, recordings, until):
        call = call_of(storage, 1)
        await recordings.record([call], NOTHING, LIMITS)
        await recordings.judge([judgement_of(call, inbound(storage).script.hash)])
        await recordings.forget_judgements()
        assert await recordings.judgements(None, 10) == []
        assert await recordings.unjudged(None, 10) == [call]

    async def test_nothing_is_left_or_added_after_a_discard(self, storage, recordings, until):
        await recordings.record([call_of(storage, 1), call_of(storage, 2)], NOTHING, LIMITS)
        assert await recordings.discard() == 2
        assert await recordings.recording() is None
        assert await recordings.record([call_of(storage, 3)], NOTHING, LIMITS) == Recorded(None)
        assert await recordings.counts() == RecordedCounts(0, 0, 0)
        assert await recordings.discard() == 0

    @pytest.mark.parametrize("stage", [Stage.LOOK, Stage.FINISHED])
    async def test_the_end_of_a_takeover_removes_what_is_recorded(self, stage, storage, store, recordings, until):
        await store.change_stage(Stage.LOOK, Stage.BACK, storage.clock.now())
        await recordings.record([call_of(storage, 1)], NOTHING, LIMITS)
        assert (await recordings.counts()).calls == 1
        await store.change_stage(Stage.BACK, stage, storage.clock.now())
        assert await recordings.recording() is None
        assert await recordings.counts() == RecordedCounts(0, 0, 0)


async def recording_fails_as_a_whole(recordings: RecordingStore, storage: Storage) -> None:
    """Call every method of a store whose database is away."""
    now = storage.clock.now()
    for call in (
        recordings.recording(),
        recordings.start(now, now),
        recordings.record([], {}, LIMITS),
        recordings.unjudged(None, 1),
        recordings.judge([]),
        recordings.judgements(None, 1),
        recordings.forget_judgements(),
        recordings.counts(),
        recordings.discard(),
    ):
        with pytest.raises(StorageUnavailable):
            await call
