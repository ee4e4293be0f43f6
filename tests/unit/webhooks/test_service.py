"""The use cases of webhooks end within their time."""

import asyncio

import pytest
from typing_extensions import override

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookRepository
from domain.errors import StorageUnavailable
from domain.identity import Owner
from domain.webhooks.service import WebhookPolicy, WebhookRequest, WebhookService, leave_to_others
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import WebhookConflict
from tests.support.acts import OPERATOR

ALICE = Owner("alice")


class SilentWebhooks(MemoryWebhookRepository):
    """Never responds."""

    @override
    async def add(self, webhook, owner_max, act):
        await asyncio.Event().wait()

    @override
    async def page(self, owner, after, size):
        await asyncio.Event().wait()


@pytest.fixture
def silent():
    key, policy = SigningKey(b"k" * 32), WebhookPolicy(0.01)
    webhooks, deliveries = SilentWebhooks(), MemoryDeliveryQueue()
    return WebhookService(ManualClock(), SequentialIds(), webhooks, deliveries, key, policy, leave_to_others)


async def test_a_write_without_a_response_may_have_been_stored(silent):
    with pytest.raises(StorageUnavailable) as caught:
        await silent.register(ALICE, WebhookRequest("https://example.com/"), OPERATOR)
    assert (caught.value.stored, caught.value.retry_after_ms) == ("unknown", None)


async def test_a_read_without_a_response_can_be_repeated(silent):
    with pytest.raises(StorageUnavailable) as caught:
        await silent.page(ALICE, None, 1)
    assert caught.value.retry_after_ms == 1000


def test_a_conflict_says_that_the_call_can_be_repeated():
    assert "Repeat the call" in WebhookConflict().message
