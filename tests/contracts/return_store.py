"""The contract of ReturnStore and TakeoverClaims."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.json_text import EMPTY_OBJECT
from domain.scripts.convention import Convention
from domain.sessions.session import Renewal, SessionClosed, SessionNotFound
from domain.takeover.mover_ports import (
    Held,
    LateCount,
    OutgoingSession,
    ReturnCensus,
    ReturnStore,
    TakeoverClaim,
    TakeoverClaims,
)
from domain.takeover.moving import InboundSession, Original, Received, TakenState
from domain.takeover.ports import Holding, TakeoverStore
from domain.takeover.spelling import whole_title
from tests.contracts.execution_queue import QueueOfOne
from tests.contracts.keyed_call_repository import KEY
from tests.contracts.schedule_repository import Planner
from tests.contracts.storage import ALICE, SCRIPT, Storage
from tests.contracts.takeover_store import HOUR, id_of, inbound, origin_id, owned, receive, takeover_of

SECOND = timedelta(seconds=1)


class ReturnStoreContract:
    """Subclasses have fixtures `storage`, and `store` and `returns` over the same data."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def store(self, storage: Storage) -> TakeoverStore:
        raise NotImplementedError

    @pytest.fixture
    def returns(self, storage: Storage) -> ReturnStore:
        raise NotImplementedError

    async def settled(self, store, storage, returns, *copies: InboundSession) -> list[UUID]:
        """Own the copies, and add no late counts; return their ids."""
        await owned(store, storage, *copies)
        await returns.add_late([LateCount(id_of(copy), 0, None) for copy in copies])
        return [id_of(copy) for copy in copies]

    async def holding(self, returns: ReturnStore, session_id: UUID) -> Holding:
        return (await returns.held([session_id]))[session_id].holding

    async def state(self, store: TakeoverStore, session_id: UUID) -> TakenState:
        ((found),) = await store.taken([session_id])
        return found.state

    async def test_each_id_has_a_holding(self, storage, store, returns):
        copies = [inbound(storage, number) for number in range(3)]
        own = await storage.add(ALICE)
        await owned(store, storage, copies[0])
        await receive(store, *copies[1:])
        await store.take([id_of(copies[2])], storage.clock.now())
        expires_at = copies[0].session.expires_at
        ids = [*map(id_of, copies), own.ref.session_id, origin_id(9)]
        same_id = evolve(copies[0].session, ref=own.ref)
        await receive(store, evolve(copies[0], session=same_id))
        assert await returns.held(ids) == {
            ids[0]: Held(Holding.SERVED, expires_at),
            ids[1]: Held(Holding.INBOUND, expires_at),
            ids[2]: Held(Holding.FENCING, expires_at),
            ids[3]: Held(Holding.SERVED),
            ids[4]: Held(Holding.UNKNOWN),
        }
        assert [(await returns.held(ids))[each].is_made_here for each in ids] == [False, False, False, True, False]

    async def test_a_returned_session_can_be_taken_again(self, storage, store, returns):
        copy = inbound(storage)
        await self.settled(store, storage, returns, copy)
        now = storage.clock.now()
        await returns.close([id_of(copy)], now)
        await returns.release([id_of(copy)], now)
        assert await store.made_here([id_of(copy)]) == set()
        await receive(store, copy)
        assert await store.take([id_of(copy)], now) == [id_of(copy)]

    async def test_only_live_settled_sessions_can_return(self, storage, store, returns):
        settled = (await self.settled(store, storage, returns, inbound(storage, 1)))[0]
        await owned(store, storage, unsettled := inbound(storage, 2))
        await receive(store, inbound(storage, 3))
        live = await storage.add(ALICE)
        await storage.close(await storage.add(ALICE))
        await storage.add(ALICE, expires_at=storage.clock.now())
        granted = await storage.add(ALICE, grants=Grants(StateGrant(StateMode.EXCLUSIVE)))
        hidden = storage.new_session(ALICE, hidden=True, function_id=origin_id(8), function_version=1)
        await storage.hidden.open(hidden, SCRIPT)
        now = storage.clock.now()
        wanted = sorted([settled, live.ref.session_id])
        assert await returns.returnable(now, None, 10) == wanted
        assert await returns.returnable(now, None, 1) == wanted[:1]
        assert await returns.returnable(now, wanted[0], 10) == wanted[1:]
        assert (await returns.census(now)).granted == 1
        staying = [id_of(unsettled), granted.ref.session_id]
        assert await returns.close([*wanted, *staying], now) is not None
        assert [await self.holding(returns, each) for each in staying] == [Holding.SERVED] * 2
        assert await returns.returnable(now, None, 10) == []

    async def test_each_session_has_the_user_that_it_will_have_at_the_origin(self, storage, store, returns):
        await owned(store, storage, taken := inbound(storage, 1))
        own, long, nameless = [await storage.add(owner) for owner in (ALICE, Owner("x" * 129), ANONYMOUS)]
        ids = [id_of(taken), *(each.ref.session_id for each in (own, long, nameless)), origin_id(9)]
        assert await returns.user_ids(ids) == {ids[0]: "alice\t", ids[1]: "alice"}

    async def test_what_the_origin_cannot_express_is_counted(self, storage, store, returns):
        await self.settled(store, storage, returns, inbound(storage, 1, execution_count=2**31))
        await owned(store, storage, inbound(storage, 2))
        assert await returns.census(storage.clock.now()) == ReturnCensus(1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0)
        running = await storage.add(Owner("x" * 129), renewal=Renewal.SLIDING)
        await storage.begin(running.ref)
        await storage.add(function_id=origin_id(7), function_version=1)
        await storage.close(await storage.add())
        keyed = await storage.add(convention=Convention.ORIGIN)
        await storage.keyed_executions.begin(*storage.request(keyed.ref), KEY)
        assert await returns.census(storage.clock.now()) == ReturnCensus(4, 3, 1, 1, 1, 1, 1, 1, 2, 0, 0, 0)
        process, planner = QueueOfOne(storage), Planner(storage, storage.schedules)
        waiting, scheduled = await storage.add(), await storage.add()
        for _ in range(2):
            await process.add(waiting)
            await planner.add(scheduled)
        await planner.add()
        assert await returns.census(storage.clock.now()) == ReturnCensus(6, 5, 1, 1, 3, 1, 1, 1, 2, 1, 1, 0)

    async def test_a_session_that_returns_is_closed_and_keeps_its_content(self, storage, store, returns):
        copy = inbound(storage, 1)
        (session_id,) = await self.settled(store, storage, returns, copy)
        for _ in range(2):
            assert await returns.close([session_id], storage.clock.now()) == [session_id]
        with pytest.raises(SessionClosed):
            await storage.begin(copy.session.ref)
        (outgoing,) = await returns.outgoing([session_id])
        assert (outgoing.session_id, outgoing.is_executing, outgoing.is_stored) == (session_id, False, True)
        closed = evolve(copy.session, closed_at=storage.clock.now(), version=2)
        assert outgoing.content == evolve(copy, session=closed)

    async def test_a_session_made_here_gets_an_original_when_it_returns(self, storage, store, returns):
        named = await storage.add(ALICE)
        nameless = await storage.add()
        long = await storage.add(Owner("x" * 129))
        ids = [each.ref.session_id for each in (named, nameless, long)]
        assert set(await returns.close(ids, storage.clock.now())) == set(ids)
        found = {each.session_id: each.original for each in await store.taken(ids)}
        title = str(named.language_title)
        assert found == {
            ids[0]: Original(title, "alice", EMPTY_OBJECT),
            ids[1]: Original(title, None, EMPTY_OBJECT),
            ids[2]: Original(title, None, EMPTY_OBJECT),
        }
        assert {each.late_count for each in await store.taken(ids)} == {0}

    async def test_a_session_made_here_returns_with_the_title_that_its_client_wrote(self, storage, store, returns):
        title = whole_title("cobol-" + "x" * 122)
        session_id = (await storage.add(language_title=title, convention=Convention.ORIGIN)).ref.session_id
        await returns.close([session_id], storage.clock.now())
        (taken,) = await store.taken([session_id])
        assert taken.original.spelled_title == "cobol-" + "x" * 122

    async def test_an_execution_in_progress_still_counts_in_a_session_that_returns(self, storage, store, returns):
        session = await storage.add(ALICE)
        execution = await storage.begin(session.ref)
        await returns.close([session.ref.session_id], storage.clock.now())
        assert [each.is_executing for each in await returns.outgoing([session.ref.session_id])] == [True]
        assert await storage.executions.finish(storage.finished(execution)) == 1
        (outgoing,) = await returns.outgoing([session.ref.session_id])
        assert (outgoing.is_executing, outgoing.content.session.execution_count) == (False, 1)
        assert outgoing.content.script == SCRIPT

    async def test_a_session_whose_content_was_erased_meanwhile_has_none(self, storage, store, returns):
        session = await storage.add(ALICE)
        session_id = session.ref.session_id
        await returns.close([session_id], storage.clock.now())
        await storage.close(session)
        assert await returns.outgoing([session_id]) == [OutgoingSession(session_id, False, True, None)]
        await returns.reopen([session_id])
        assert await store.taken([session_id]) == []
        assert (await storage.sessions.get(session.ref)).closed_at is not None

    async def test_a_released_session_is_the_origins_and_stays_closed_here(self, storage, store, returns):
        copy = inbound(storage, 1)
        (session_id,) = await self.settled(store, storage, returns, copy)
        await returns.release([session_id], storage.clock.now())
        assert await self.holding(returns, session_id) is Holding.SERVED
        await returns.close([session_id], storage.clock.now())
        storage.clock.advance(SECOND)
        await returns.release([session_id], storage.clock.now())
        (taken,) = await store.taken([session_id])
        assert (taken.state, taken.returned_at) == (TakenState.RETURNED, storage.clock.now())
        assert await returns.outgoing([session_id]) == []
        with pytest.raises(SessionClosed):
            await storage.begin(copy.session.ref)

    @pytest.mark.parametrize("is_released", [True, False])
    async def test_a_reopened_session_is_served_again(self, storage, store, returns, is_released):
        copy = inbound(storage, 1)
        (session_id,) = await self.settled(store, storage, returns, copy)
        await returns.close([session_id], storage.clock.now())
        if is_released:
            await returns.release([session_id], storage.clock.now())
        for _ in range(2):
            await returns.reopen([session_id])
        assert await storage.execute(copy.session.ref) == copy.session.execution_count + 1
        assert await self.holding(returns, session_id) is Holding.SERVED
        assert await returns.unsettled(storage.clock.now() + HOUR, None, 10) == []

    async def test_a_diverted_session_cannot_be_stored_here(self, storage, store, returns):
        copies = [inbound(storage, number) for number in range(2)]
        ids = [id_of(copy) for copy in copies]
        await receive(store, *copies)
        await store.take(ids[:1], storage.clock.now())
        for _ in range(2):
            await returns.divert([*ids, origin_id(9)], storage.clock.now())
        assert await store.own(copies, storage.clock.now(), storage.clock.now()) == []
        assert await store.take(ids, storage.clock.now()) == []
        assert await store.inbound(ids) == []
        assert {each.session_id: each for each in await returns.outgoing(ids)} == {
            session_id: OutgoingSession(session_id, False, False, None) for session_id in ids
        }
        await returns.reopen(ids)
        assert await store.taken(ids) == []

    async def test_a_returned_session_can_be_diverted_and_its_content_is_outgoing(self, storage, store, returns):
        (session_id,) = await self.settled(store, storage, returns, inbound(storage, 1))
        await returns.close([session_id], storage.clock.now())
        await returns.release([session_id], storage.clock.now())
        await returns.divert([session_id], storage.clock.now())
        (outgoing,) = await returns.outgoing([session_id])
        assert outgoing.content is not None

    async def test_a_copy_of_a_returned_session_takes_the_place_of_what_stayed_here(self, storage, store, returns):
        copy = inbound(storage, 1)
        (session_id,) = await self.settled(store, storage, returns, copy)
        await returns.close([session_id], storage.clock.now())
        await returns.release([session_id], storage.clock.now())
        later = evolve(copy, session=evolve(copy.session, execution_count=20))
        assert await receive(store, later) == Received(written=1)
        assert await self.holding(returns, session_id) is Holding.INBOUND
        with pytest.raises(SessionNotFound):
            await storage.sessions.get(copy.session.ref)
        await store.take([session_id], storage.clock.now())
        await store.own([later], storage.clock.now(), storage.clock.now())
        assert await storage.execute(copy.session.ref) == 21

    async def test_a_late_count_is_added_once_and_keeps_the_later_instant(self, storage, store, returns):
        copies = [inbound(storage, number) for number in range(3)]
        ids = [id_of(copy) for copy in copies]
        await owned(store, storage, *copies)
        last_at = storage.clock.now() + SECOND
        late = [
            LateCount(ids[0], 2, last_at),
            LateCount(ids[1], 1, storage.clock.now() - HOUR),
            LateCount(ids[2], 0, None),
        ]
        assert await returns.add_late([*late, LateCount(origin_id(9), 5, last_at)]) == 3
        assert await returns.add_late(late) == 0
        assert await returns.add_late([]) == 0
        stored = [await storage.sessions.get(copy.session.ref) for copy in copies]
        assert [each.execution_count for each in stored] == [9, 8, 7]
        assert [each.last_executed_at for each in stored] == [
            last_at,
            *[each.session.last_executed_at for each in copies[1:]],
        ]
        assert {each.session_id: each.late_count for each in await store.taken(ids)} == dict(
            zip(ids, [2, 1, 0], strict=True)
        )

    async def test_sessions_are_unsettled_until_their_late_count_is_known(self, storage, store, returns):
        copies = sorted((inbound(storage, number) for number in range(3)), key=id_of)
        ids = [id_of(copy) for copy in copies]
        await owned(store, storage, *copies)
        now = storage.clock.now()
        assert await returns.unsettled(now - timedelta(microseconds=1), None, 10) == []
        assert [each.session_id for each in await returns.unsettled(now, None, 2)] == ids[:2]
        assert [each.session_id for each in await returns.unsettled(now, ids[0], 10)] == ids[1:]
        await returns.add_late([LateCount(ids[1], 0, None)])
        assert [each.session_id for each in await returns.unsettled(now, None, 10)] == [ids[0], ids[2]]

    async def test_one_command_at_a_time_holds_the_takeover(self, storage, store, returns: TakeoverClaims):
        await store.begin(takeover_of(storage))
        now = storage.clock.now()
        mine = TakeoverClaim("mine", now + SECOND)
        assert await returns.hold("mine", now, now + SECOND) == mine
        assert await returns.hold("other", now, now + HOUR) == mine
        renewed = TakeoverClaim("mine", now + 2 * SECOND)
        assert await returns.hold("mine", now, now + 2 * SECOND) == renewed
        await returns.leave("other")
        assert await returns.hold("other", now + SECOND, now + HOUR) == renewed
        other = TakeoverClaim("other", now + HOUR)
        assert await returns.hold("other", now + 2 * SECOND, now + HOUR) == other
        await returns.leave("other")
        assert await returns.hold("mine", now, now + SECOND) == mine

    async def test_a_session_of_another_id_kind_is_held_as_any(self, storage, store, returns):
        made_at = storage.clock.now()
        ref = SessionRef(ANONYMOUS, origin_id(5))
        await storage.add(ref=ref, foreign_created_at=made_at)
        assert await self.holding(returns, origin_id(5)) is Holding.SERVED
