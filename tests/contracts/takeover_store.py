"""The contract of TakeoverStore."""

from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from attrs import evolve

from domain.audit import ActName
from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Isolation, Limits
from domain.scripts.script import Script
from domain.sessions.session import Renewal, Session, SessionNotFound
from domain.takeover.moving import (
    InboundSession,
    Original,
    Progress,
    Received,
    ReportSeal,
    TakenSession,
    TakenState,
    Takeover,
)
from domain.takeover.ports import TakeoverStore
from domain.takeover.stages import Stage
from tests.contracts.storage import Storage
from tests.support.acts import act

FOLLOW = ActName.TAKEOVER_FOLLOW
HOUR = timedelta(hours=1)
SOURCE = {"system_identifier": "7462", "database": "lambda_microservice", "schema": "meta"}
OPTIONS = {"owner": "anonymous", "expired": "none"}
FIRST = Progress(JsonText('{"request_id":"a"}'), 0, 3, 6_000)
LAST = Progress(None, 1, 3, 6_000)
SEAL = ReportSeal("0" * 64, 3, "2026-11-28T06:30:00+00:00")
HOSTILE = 'line\n"quoted" \\back\\ {a,b} NULL tab\t \x01 é 😀'


def origin_id(number: int) -> UUID:
    """Return an id as the origin makes it."""
    return UUID(int=Random(number).getrandbits(128), version=4)


def inbound(storage: Storage, number: int = 0, **facts: object) -> InboundSession:
    """Return a copy; `facts` replace fields of its session."""
    made_at, script = storage.clock.now() - HOUR / 2, Script.of(f"return {number} // {HOSTILE}", 1000)
    session = Session(
        SessionRef(ANONYMOUS, origin_id(number)),
        LanguageTitle(Language.NODEJS, "adder"),
        script.hash,
        JsonText('{"text": "b", "a": [1.50]}'),
        EMPTY_OBJECT,
        Limits(30_000, 256, Isolation.SESSION),
        Renewal.FIXED,
        3600,
        made_at + HOUR,
        made_at + 24 * HOUR,
        last_executed_at=made_at + timedelta(microseconds=1),
        execution_count=7,
        convention=Convention.ORIGIN,
        foreign_created_at=made_at,
    )
    original = Original("nodejs-adder", "alice\t", JsonText('{"compile_options": {"a": 1}}'))
    return InboundSession(evolve(session, **facts), script, original)


def emptied(copy: InboundSession) -> InboundSession:
    return evolve(copy, session=evolve(copy.session, script_hash=None, context=EMPTY_OBJECT), script=None)


def id_of(copy: InboundSession) -> UUID:
    return copy.session.ref.session_id


def takeover_of(storage: Storage, number: int = 1) -> Takeover:
    return Takeover(UUID(int=number), SOURCE, OPTIONS, Stage.LOOK, storage.clock.now())


async def receive(store: TakeoverStore, *copies: InboundSession) -> Received:
    return await store.receive(copies, "copy", FIRST)


async def owned(store: TakeoverStore, storage: Storage, *copies: InboundSession) -> None:
    """Receive, take and own the copies."""
    ids = [id_of(copy) for copy in copies]
    await receive(store, *copies)
    assert set(await store.take(ids, storage.clock.now())) == set(ids)
    now = storage.clock.now()
    assert set(await store.own(copies, now, now)) == set(ids)


class TakeoverStoreContract:
    """Subclasses have a fixture `storage`, and `store` over the same data."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def store(self, storage: Storage) -> TakeoverStore:
        raise NotImplementedError

    @pytest.mark.parametrize(
        "change",
        [
            {"context": JsonText("{}")},
            {"metadata": JsonText('{"a": 1}')},
            {"limits": Limits(30_000, 257, Isolation.SESSION)},
            {"ttl_seconds": 3601},
            {"execution_count": 8},
            {"version": 2},
            {"last_executed_at": None},
            {"convention": Convention.OWN},
            {"language_title": LanguageTitle(Language.PYTHON, "adder")},
        ],
        ids=str,
    )
    async def test_a_copy_that_differs_in_one_value_is_written_again(self, storage, store, change):
        assert await receive(store, inbound(storage)) == Received(written=1)
        assert await receive(store, inbound(storage)) == Received(unchanged=1)
        assert await receive(store, inbound(storage, **change)) == Received(written=1)

    async def test_a_copy_with_another_script_is_written_again(self, storage, store):
        copy, script = inbound(storage), Script.of("return 9;", 1000)
        changed = evolve(copy, session=evolve(copy.session, script_hash=script.hash), script=script)
        for each in (copy, changed):
            assert await receive(store, each) == Received(written=1)
            assert await receive(store, each) == Received(unchanged=1)
        assert await store.inbound([id_of(copy)]) == [changed]

    async def test_a_copy_that_differs_in_what_only_the_origin_has_is_written_again(self, storage, store):
        copy = inbound(storage)
        await receive(store, copy)
        for change in ({"spelled_title": "x"}, {"user_id": None}, {"leftovers": JsonText("{}")}):
            changed = evolve(copy, original=evolve(copy.original, **change))
            assert await receive(store, changed) == Received(written=1)
            assert await receive(store, changed) == Received(unchanged=1)

    async def test_there_is_no_takeover_before_one_begins(self, storage, store):
        assert await store.takeover() is None
        await store.note("copy", FIRST)
        assert not await store.change_stage(Stage.LOOK, Stage.OPEN, storage.clock.now())
        assert await store.takeover() is None

    async def test_a_takeover_begins_once_and_is_replaced_when_it_is_finished(self, storage, store):
        first, second = takeover_of(storage), takeover_of(storage, 2)
        assert await store.begin(first) == first
        assert await store.begin(second) == first
        await store.note("copy", FIRST)
        assert await store.change_stage(Stage.LOOK, Stage.FINISHED, storage.clock.now())
        assert await store.begin(first) == await store.takeover()
        assert await store.begin(second) == second
        assert await store.takeover() == second

    async def test_one_of_which_nothing_is_here_makes_room_for_another_source(self, storage, store):
        first, other = takeover_of(storage), evolve(takeover_of(storage, 2), source={**SOURCE, "database": "other"})
        await store.begin(first)
        await receive(store, inbound(storage))
        assert (await store.begin(other)).takeover_id == first.takeover_id
        await store.take([id_of(inbound(storage))], storage.clock.now())
        assert (await store.begin(other)).takeover_id == first.takeover_id
        await store.give_up([id_of(inbound(storage))])
        await store.change_stage(Stage.LOOK, Stage.OPEN, storage.clock.now())
        assert (await store.begin(other)).takeover_id == first.takeover_id
        await store.change_stage(Stage.OPEN, Stage.LOOK, storage.clock.now())
        assert (await store.begin(evolve(other, source=SOURCE))).takeover_id == first.takeover_id
        assert await store.begin(other) == other

    async def test_options_are_replaced_and_commands_start_again(self, storage, store):
        await store.choose({"owner": "user_id"})
        assert await store.takeover() is None
        await store.begin(takeover_of(storage))
        await store.note("copy", FIRST)
        await store.choose({"owner": "user_id"})
        assert await store.takeover() == evolve(takeover_of(storage), options={"owner": "user_id"})

    async def test_the_source_is_replaced_and_the_rest_stays(self, storage, store):
        await store.follow({"database": "restored"}, act(FOLLOW))
        assert await store.takeover() is None
        await store.begin(takeover_of(storage))
        await store.note("copy", FIRST)
        await store.follow({"database": "restored"}, act(FOLLOW))
        expected = evolve(takeover_of(storage), source={"database": "restored"}, progress={"copy": FIRST})
        assert await store.takeover() == expected

    async def test_a_stage_changes_once(self, storage, store):
        await store.begin(takeover_of(storage))
        storage.clock.advance(HOUR)
        changed_at = storage.clock.now()
        assert await store.change_stage(Stage.LOOK, Stage.OPEN, changed_at)
        storage.clock.advance(HOUR)
        assert await store.change_stage(Stage.LOOK, Stage.OPEN, storage.clock.now())
        assert not await store.change_stage(Stage.LOOK, Stage.ADOPT, storage.clock.now())
        stored = await store.takeover()
        assert (stored.stage, stored.stage_at) == (Stage.OPEN, changed_at)

    async def test_each_command_has_its_progress(self, storage, store):
        await store.begin(takeover_of(storage))
        await store.note("verify", LAST)
        await receive(store, inbound(storage))
        await store.note("report of copy", Progress(seal=SEAL))
        stored = await store.takeover()
        assert stored.progress == {"copy": FIRST, "verify": LAST, "report of copy": Progress(seal=SEAL)}
        assert stored.seals == {"copy": SEAL}

    async def test_a_copy_is_stored_with_all_values(self, storage, store):
        copies = [
            inbound(storage, 1, language_title=LanguageTitle(Language.PYTHON, "_"), context=JsonText("[1, 2]")),
            emptied(inbound(storage, 2, closed_at=storage.clock.now(), last_executed_at=None)),
            inbound(storage, 3, function_id=UUID(int=5), function_version=4, metadata=JsonText('{"k": "v"}')),
            evolve(inbound(storage, 4), original=Original("js adder\x7f", None, EMPTY_OBJECT)),
        ]
        assert await receive(store, *copies) == Received(written=4)
        stored = await store.inbound([id_of(copy) for copy in [*copies, inbound(storage, 9)]])
        assert {id_of(copy): copy for copy in stored} == {id_of(copy): copy for copy in copies}

    async def test_a_copy_is_written_again_only_if_it_differs(self, storage, store):
        same, other = inbound(storage, 1), inbound(storage, 2)
        await receive(store, same, other)
        assert await receive(store, same, other) == Received(unchanged=2)
        changed = evolve(other, session=evolve(other.session, execution_count=8))
        assert await receive(store, same, changed) == Received(written=1, unchanged=1)
        assert await store.inbound([id_of(other)]) == [changed]
        spelled = evolve(same, original=evolve(same.original, spelled_title="js-adder"))
        assert await receive(store, spelled) == Received(written=1)

    async def test_no_copy_is_served(self, storage, store):
        copy = inbound(storage)
        await receive(store, copy)
        with pytest.raises(SessionNotFound):
            await storage.sessions.get(copy.session.ref)

    async def test_live_copies_are_listed_in_order(self, storage, store):
        now = storage.clock.now()
        copies = [inbound(storage, number) for number in range(5)]
        over = [inbound(storage, 7, expires_at=now), inbound(storage, 8, closed_at=now)]
        await receive(store, *copies, *over)
        ids = sorted(id_of(copy) for copy in copies)
        assert await store.inbound_live(now, None, 3) == ids[:3]
        assert await store.inbound_live(now, ids[2], 3) == ids[3:]
        assert await store.inbound_live(now, ids[4], 3) == []

    async def test_a_discarded_copy_is_gone(self, storage, store):
        kept, gone = inbound(storage, 1), inbound(storage, 2)
        await receive(store, kept, gone)
        assert await store.discard([id_of(gone), id_of(inbound(storage, 3))]) == 1
        assert await store.inbound([id_of(kept), id_of(gone)]) == [kept]

    async def test_a_session_that_is_no_longer_taken_is_a_copy_again(self, storage, store):
        copies = [inbound(storage, number) for number in range(2)]
        ids = [id_of(copy) for copy in copies]
        await owned(store, storage, copies[0])
        await receive(store, copies[1])
        await store.take(ids, storage.clock.now())
        await store.untake(ids)
        assert [each.session_id for each in await store.taken(ids)] == ids[:1]
        assert await store.inbound(ids) == copies[1:]
        assert await store.take(ids, storage.clock.now()) == ids[1:]

    async def test_only_a_copy_can_be_taken_and_taking_it_again_changes_nothing(self, storage, store):
        copy, absent = inbound(storage, 1), inbound(storage, 2)
        await receive(store, copy)
        known = (id_of(copy), ANONYMOUS, TakenState.FENCING, copy.original, copy.session.expires_at)
        taken = TakenSession(*known, fenced_at=storage.clock.now())
        for _ in range(2):
            assert await store.take([id_of(copy), id_of(absent)], storage.clock.now()) == [id_of(copy)]
            assert await store.taken([id_of(copy), id_of(absent)]) == [taken]
        assert await store.inbound([id_of(copy)]) == [copy]

    async def test_the_id_of_a_session_that_was_made_here_cannot_be_taken(self, storage, store):
        copy, free = inbound(storage, 1), inbound(storage, 2)
        await owned(store, storage, inbound(storage, 3))
        made = await storage.add_foreign(id_of(copy))
        await receive(store, copy, free)
        ids = [id_of(inbound(storage, number)) for number in (1, 2, 3)]
        assert await store.take(ids[:2], storage.clock.now()) == [id_of(free)]
        assert [each.session_id for each in await store.taken(ids[:2])] == [id_of(free)]
        assert {*await store.made_here(ids)} == {made.ref.session_id}
        assert await store.made_here([]) == set()

    async def test_an_owned_session_is_served_with_the_values_at_the_fence(self, storage, store):
        copy = inbound(storage)
        await receive(store, copy)
        await store.take([id_of(copy)], storage.clock.now())
        fenced_at = storage.clock.now()
        storage.clock.advance(timedelta(milliseconds=5))
        fenced = evolve(
            copy, session=evolve(copy.session, execution_count=9), original=Original("x", None, EMPTY_OBJECT)
        )
        for _ in range(2):
            await store.own([fenced], fenced_at, storage.clock.now())
        assert await storage.sessions.get(fenced.session.ref) == fenced.session
        assert await storage.sessions.script(fenced.session.ref) == copy.script
        assert await store.inbound([id_of(copy)]) == []
        (taken,) = await store.taken([id_of(copy)])
        expected = TakenSession(
            id_of(copy),
            ANONYMOUS,
            TakenState.OWNED,
            fenced.original,
            copy.session.expires_at,
            count_at_fence=9,
            fenced_at=fenced_at,
            owned_at=storage.clock.now(),
        )
        assert taken == expected

    async def test_a_session_that_is_not_fencing_cannot_be_owned(self, storage, store):
        copy = inbound(storage)
        await receive(store, copy)
        now = storage.clock.now()
        assert await store.own([copy, inbound(storage, 2)], now, now) == []
        with pytest.raises(SessionNotFound):
            await storage.sessions.get(copy.session.ref)

    async def test_a_copy_of_a_taken_session_is_not_stored(self, storage, store):
        mine, fencing = inbound(storage, 1), inbound(storage, 2)
        await owned(store, storage, mine)
        await receive(store, fencing)
        await store.take([id_of(fencing)], storage.clock.now())
        changed = [evolve(copy, session=evolve(copy.session, execution_count=8)) for copy in (mine, fencing)]
        assert await receive(store, *changed) == await receive(store, mine, fencing) == Received(taken=2)
        assert await store.inbound([id_of(mine), id_of(fencing)]) == [fencing]

    async def test_a_session_that_is_given_up_is_forgotten(self, storage, store):
        mine, gone, kept = (inbound(storage, number) for number in range(3))
        await owned(store, storage, mine)
        await receive(store, gone, kept)
        await store.take([id_of(gone)], storage.clock.now())
        ids = [id_of(copy) for copy in (mine, gone, kept)]
        assert await store.give_up(ids) == 1
        assert await store.inbound(ids) == [kept]
        assert [taken.session_id for taken in await store.taken(ids)] == [id_of(mine)]

    async def test_taken_sessions_are_listed_by_state_in_order(self, storage, store):
        copies = [inbound(storage, number) for number in range(5)]
        await owned(store, storage, *copies[:3])
        await receive(store, *copies[3:])
        await store.take([id_of(copies[3])], storage.clock.now())
        ids = sorted(id_of(copy) for copy in copies[:3])
        page = await store.taken_page(TakenState.OWNED, None, 2)
        assert [taken.session_id for taken in page] == ids[:2]
        page = await store.taken_page(TakenState.OWNED, ids[1], 2)
        assert [taken.session_id for taken in page] == ids[2:]
        assert await store.counts() == {
            TakenState.FENCING: 1,
            TakenState.OWNED: 3,
            TakenState.RETURNING: 0,
            TakenState.RETURNED: 0,
            None: 1,
        }

    async def test_owners_of_any_kind_are_kept(self, storage, store):
        copy = inbound(storage, 1, ref=SessionRef(Owner("österreich|7"), origin_id(1)))
        await owned(store, storage, copy)
        assert (await store.taken([id_of(copy)]))[0].owner == "österreich|7"
        assert await storage.sessions.get(copy.session.ref) == copy.session


async def fails_as_a_whole(store: TakeoverStore, storage: Storage) -> None:
    """Check that every call fails while the storage is unavailable."""
    copy, now = inbound(storage), storage.clock.now()
    for call in (
        store.takeover(),
        store.begin(takeover_of(storage)),
        store.change_stage(Stage.LOOK, Stage.OPEN, now),
        store.note("copy", FIRST),
        store.choose(OPTIONS),
        store.follow({}, act(FOLLOW)),
        receive(store, copy),
        store.inbound([id_of(copy)]),
        store.inbound_live(now, None, 1),
        store.discard([id_of(copy)]),
        store.take([id_of(copy)], storage.clock.now()),
        store.own([copy], now, now),
        store.give_up([id_of(copy)]),
        store.taken([id_of(copy)]),
        store.taken_page(TakenState.OWNED, None, 1),
        store.counts(),
    ):
        with pytest.raises(StorageUnavailable):
            await call
