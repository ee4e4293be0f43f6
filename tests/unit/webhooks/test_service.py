"""The use cases of webhooks end within their time."""

import asyncio

import pytest
from typing_extensions import override

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookRepository
from domain.errors import StorageUnavailable
from domain.idempotency import IdempotencyKey
from domain.identity import Owner
from domain.webhooks.service import WebhookPolicy, WebhookRequest, WebhookService, leave_to_others
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import WebhookConflict
from tests.support.acts import OPERATOR

ALICE = Owner("alice")
KEY = IdempotencyKey("again", "a" * 64)


class SilentWebhooks(MemoryWebhookRepository):
    """Never responds."""

    @override
    async def add(self, webhook, owner_max, act, key=None):
        await asyncio.Event().wait()

    @override
    async def page(self, owner, after, size):
        await asyncio.Event().wait()


class RacedWebhooks(MemoryWebhookRepository):
    """Another call with the key stores the webhook first, and removes it if it `vanishes`."""

    vanishes = False

    @override
    async def add(self, webhook, owner_max, act, key=None):
        await super().add(webhook, owner_max, act, key)
        if self.vanishes:
            await self.remove(webhook.owner, webhook.webhook_id, act)
        return False


def service(webhooks, timeout_s=0.01):
    key, policy = SigningKey(b"k" * 32), WebhookPolicy(timeout_s)
    return WebhookService(ManualClock(), SequentialIds(), webhooks, MemoryDeliveryQueue(), key, policy, leave_to_others)


@pytest.fixture
def silent():
    return service(SilentWebhooks())


async def test_a_write_without_a_response_may_have_been_stored(silent):
    with pytest.raises(StorageUnavailable) as caught:
        await silent.register(ALICE, WebhookRequest("https://example.com/"), OPERATOR)
    assert (caught.value.stored, caught.value.retry_after_ms) == ("unknown", None)
    with pytest.raises(StorageUnavailable) as caught:
        await silent.register(ALICE, WebhookRequest("https://example.com/"), OPERATOR, KEY)
    assert (caught.value.stored, caught.value.retry_after_ms) == ("unknown", 1000)


async def test_a_read_without_a_response_can_be_repeated(silent):
    with pytest.raises(StorageUnavailable) as caught:
        await silent.page(ALICE, None, 1)
    assert caught.value.retry_after_ms == 1000


def test_a_conflict_says_that_the_call_can_be_repeated():
    assert "Repeat the call" in WebhookConflict().message


async def test_a_call_that_loses_the_race_for_its_key_gets_the_webhook_of_the_other_one():
    issued = await service(RacedWebhooks(), 10).register(ALICE, WebhookRequest("https://example.com/"), OPERATOR, KEY)
    assert issued.replayed
    assert issued.secret.startswith("whsec_")


async def test_a_key_that_another_call_took_and_gave_up_is_a_conflict():
    webhooks = RacedWebhooks()
    webhooks.vanishes = True
    with pytest.raises(WebhookConflict):
        await service(webhooks, 10).register(ALICE, WebhookRequest("https://example.com/"), OPERATOR, KEY)
