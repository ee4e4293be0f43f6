"""The routers over four buckets keep the contracts of the ports."""

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from adapters.buckets.deliveries import BucketDeliveries
from adapters.buckets.executions import BucketLiveOutput
from adapters.buckets.owners import BucketAudit, BucketSessionPurger
from adapters.buckets.schedules import BucketSchedules
from adapters.buckets.webhooks import BucketWebhooks
from domain.buckets.bucket_map import in_bucket
from domain.webhooks.delivery import Delivery
from domain.webhooks.webhook import Webhook
from tests.contracts import queue_histories
from tests.contracts.bucket_register import BucketRegisterContract
from tests.contracts.execution_queue import CleanUp, ExecutionQueueContract
from tests.contracts.execution_repository import ExecutionRepositoryContract
from tests.contracts.file_repository import FileRepositoryContract
from tests.contracts.hidden_session_repository import HiddenSessionRepositoryContract
from tests.contracts.key_histories import KeyHistory, steps
from tests.contracts.keyed_call_repository import KeyedCallRepositoryContract
from tests.contracts.live_output import LiveOutputContract
from tests.contracts.schedule_repository import ScheduleRepositoryContract
from tests.contracts.session_purger import SessionPurgerContract
from tests.contracts.session_repository import SessionRepositoryContract
from tests.contracts.state_repository import StateRepositoryContract
from tests.contracts.storage import Storage
from tests.contracts.webhooks import WebhookContract
from tests.unit.buckets.world import FOUR, Announced, World


@pytest.fixture
async def world() -> World:
    return await World().opened()


@pytest.fixture
def storage(world: World) -> Storage:
    return world.storage()


class OverBuckets:
    """Sessions lie in all buckets but HOME, in turns."""

    @pytest.fixture
    def storage(self, world: World) -> Storage:
        return world.storage()

    @pytest.fixture
    def audit(self, world: World) -> BucketAudit:
        return BucketAudit(world.directory)

    @pytest.fixture
    def purger(self, world: World) -> BucketSessionPurger:
        return BucketSessionPurger(world.directory)

    @pytest.fixture
    def webhooks(self, world: World) -> BucketWebhooks:
        return BucketWebhooks(world.directory)

    @pytest.fixture
    def deliveries(self, world: World) -> BucketDeliveries:
        return BucketDeliveries(world.directory)


class TestAnnounced(BucketRegisterContract):
    @pytest.fixture
    def register(self) -> Announced:
        return Announced()


class TestBucketSessions(OverBuckets, SessionRepositoryContract):
    parts = len(FOUR)


class TestBucketKeyedCalls(OverBuckets, KeyedCallRepositoryContract):
    pass


class TestBucketHiddenSessions(OverBuckets, HiddenSessionRepositoryContract):
    pass


class TestBucketExecutions(OverBuckets, ExecutionRepositoryContract):
    pass


class TestBucketFiles(OverBuckets, FileRepositoryContract):
    pass


class TestBucketStates(OverBuckets, StateRepositoryContract):
    pass


class TestBucketLiveOutput(OverBuckets, LiveOutputContract):
    @pytest.fixture
    def output(self, world: World) -> BucketLiveOutput:
        return BucketLiveOutput(world.directory)


@given(history=steps)
async def test_a_key_is_what_the_rules_say_after_any_history(history):
    world = await World().opened()
    await (await KeyHistory.of(world.storage())).follow(history)


class InOneBucket(OverBuckets):
    """All sessions lie in one bucket, because turns and the order of a queue hold within a bucket."""

    @pytest.fixture
    async def world(self) -> World:
        return await World(only=2).opened()


class TestBucketQueue(InOneBucket, ExecutionQueueContract):
    @pytest.fixture
    def clean_up(self, world: World) -> CleanUp:
        async def clean_up() -> None:
            for queue in world.queues:
                queue.end_overdue(world.clock.now())

        return clean_up


class TestBucketSchedules(InOneBucket, ScheduleRepositoryContract):
    @pytest.fixture
    def schedules(self, world: World) -> BucketSchedules:
        return BucketSchedules(world.directory)


class TestBucketSessionPurger(OverBuckets, SessionPurgerContract):
    pass


class TestBucketWebhooks(InOneBucket, WebhookContract):
    @pytest.fixture
    def deliveries(self, world: World) -> BucketDeliveries:
        return BucketDeliveries(world.directory, timedelta(0))

    def delivery(self, webhook: Webhook, **facts: Any) -> Delivery:
        delivery = super().delivery(webhook, **facts)
        return evolve(delivery, delivery_id=in_bucket(delivery.delivery_id, 2))


@given(history=queue_histories.steps)
async def test_every_execution_of_a_queue_is_what_the_rules_say_after_any_history(history):
    world = await World(only=2).opened()
    await queue_histories.follows(world.storage(), history)
