"""The contract of Ownership, for what can be read; those that move sessions have contracts of their own."""

import pytest

from domain.errors import StorageUnavailable
from domain.takeover.ports import Holding, Ownership, TakeoverStore
from domain.takeover.stages import Stage
from tests.contracts.storage import Storage
from tests.contracts.takeover_store import id_of, inbound, origin_id, owned, receive, takeover_of


class OwnershipContract:
    """Subclasses have a fixture `storage`, with `store` and `ownership` over the same data."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def store(self, storage: Storage) -> TakeoverStore:
        raise NotImplementedError

    @pytest.fixture
    def ownership(self, store: TakeoverStore) -> Ownership:
        raise NotImplementedError

    async def test_the_stage_is_the_one_that_is_stored_and_look_without_a_takeover(self, storage, store, ownership):
        assert await ownership.stage() is Stage.LOOK
        await store.begin(takeover_of(storage))
        await store.change_stage(Stage.LOOK, Stage.OPEN, storage.clock.now())
        assert await ownership.stage() is Stage.OPEN

    async def test_a_session_that_moves_here_is_found_at_every_step(self, storage, store, ownership):
        copy = inbound(storage)
        assert await ownership.of(id_of(copy)) is Holding.UNKNOWN
        await receive(store, copy)
        assert await ownership.of(id_of(copy)) is Holding.INBOUND
        await store.take([id_of(copy)], storage.clock.now())
        assert await ownership.of(id_of(copy)) is Holding.FENCING
        now = storage.clock.now()
        await store.own([copy], now, now)
        assert await ownership.of(id_of(copy)) is Holding.SERVED

    async def test_a_session_that_was_given_up_is_unknown(self, storage, store, ownership):
        copy = inbound(storage)
        await receive(store, copy)
        await store.take([id_of(copy)], storage.clock.now())
        await store.give_up([id_of(copy)])
        assert await ownership.of(id_of(copy)) is Holding.UNKNOWN

    async def test_a_session_of_this_service_is_served_and_others_are_not_mixed_up_with_it(
        self, storage, store, ownership
    ):
        session = await storage.add()
        await owned(store, storage, inbound(storage, 1))
        assert await ownership.of(session.ref.session_id) is Holding.SERVED
        assert await ownership.of(origin_id(2)) is Holding.UNKNOWN


async def ownership_fails_as_a_whole(ownership: Ownership) -> None:
    """Check that every call fails while the storage is unavailable."""
    for call in (ownership.stage(), ownership.of(origin_id(1))):
        with pytest.raises(StorageUnavailable):
            await call
