"""The routers over four buckets keep the contracts of the ports."""

import pytest
from hypothesis import given

from adapters.buckets.executions import BucketLiveOutput
from tests.contracts.execution_repository import ExecutionRepositoryContract
from tests.contracts.hidden_session_repository import HiddenSessionRepositoryContract
from tests.contracts.key_histories import KeyHistory, steps
from tests.contracts.keyed_call_repository import KeyedCallRepositoryContract
from tests.contracts.live_output import LiveOutputContract
from tests.contracts.session_repository import SessionRepositoryContract
from tests.contracts.storage import Storage
from tests.unit.buckets.world import FOUR, World


@pytest.fixture
async def world() -> World:
    return await World().opened()


@pytest.fixture
def storage(world: World) -> Storage:
    return world.storage()


class OverBuckets:
    @pytest.fixture
    def storage(self, world: World) -> Storage:
        return world.storage()


class TestBucketSessions(OverBuckets, SessionRepositoryContract):
    parts = len(FOUR)


class TestBucketKeyedCalls(OverBuckets, KeyedCallRepositoryContract):
    pass


class TestBucketHiddenSessions(OverBuckets, HiddenSessionRepositoryContract):
    pass


class TestBucketExecutions(OverBuckets, ExecutionRepositoryContract):
    pass


class TestBucketLiveOutput(OverBuckets, LiveOutputContract):
    @pytest.fixture
    def output(self, world: World) -> BucketLiveOutput:
        return BucketLiveOutput(world.directory)


@given(history=steps)
async def test_a_key_is_what_the_rules_say_after_any_history(history):
    world = await World().opened()
    await (await KeyHistory.of(world.storage())).follow(history)
