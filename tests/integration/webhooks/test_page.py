"""The receiver of docs/webhooks.md gets what the service sends, and refuses what it does not."""

import asyncio
import json
import re
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from adapters.memory.manual_clock import no_jitter
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookStore
from adapters.system_clock import SystemClock
from adapters.webhooks.sender import HttpSender, SenderOptions
from domain.concurrency.background_tasks import BackgroundTasks
from domain.identity import Owner
from domain.webhooks.address import AddressPolicy
from domain.webhooks.delivery import Delivery
from domain.webhooks.dispatcher import DeliveryDispatcher, DeliveryPolicy
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import ENDS, Event, SecretVersion, Webhook
from tests.support.ports import free_port
from tests.support.programs import unmeasured
from tests.support.waiting import until

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
KEY = SigningKey(b"k" * 32)
ALICE = Owner("alice")


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def webhook(port):
    """A webhook whose secret was rotated a moment ago."""
    now = SystemClock().now()
    secret = SecretVersion(KEY.key_id, 2, now)
    return Webhook(SequentialIds().new(now), ALICE, f"http://127.0.0.1:{port}/", ENDS, secret)


async def accepts(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture
async def receiver(port, webhook, tmp_path):
    """The program of the page, with the secret before the rotation; its lines are in `printed`."""
    (source,) = re.findall(r"```python\n(# receiver\.py\n.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "receiver.py"
    file.write_text(source)
    env = {**unmeasured(), "WEBHOOK_SECRET": KEY.secret(webhook.webhook_id, 1), "RECEIVER_PORT": str(port)}
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(sys.executable, str(file), env=env, stdout=pipe, stderr=pipe)
    await until(lambda: accepts(port), 20)
    yield program
    program.kill()
    await program.communicate()


async def sent(webhook, port, payload, key=KEY):
    """Send one message, and return the delivery after it."""
    clock, ids, tasks, store = SystemClock(), SequentialIds(), BackgroundTasks(), MemoryWebhookStore()
    policy = AddressPolicy(frozenset({port}), (ip_network("127.0.0.1/32"),), allows_http=True)
    sender = HttpSender(SenderOptions(policy))
    store.webhooks[webhook.webhook_id] = webhook
    now = clock.now()
    delivery = Delivery(ids.new(now), webhook.webhook_id, ALICE, Event.SUCCEEDED, payload, now)
    store.deliveries[delivery.delivery_id] = delivery
    queue = MemoryDeliveryQueue(store)
    dispatcher = DeliveryDispatcher(queue, sender, key, clock, DeliveryPolicy(), tasks, no_jitter)
    await dispatcher.send_due()
    await tasks.drain(10)
    await sender.close()
    return store.deliveries[delivery.delivery_id]


async def test_the_receiver_verifies_and_prints_a_message(receiver, webhook, port):
    payload = json.dumps({"type": "execution.succeeded", "timestamp": "t", "data": {"result": "ä"}})
    done = await sent(webhook, port, payload)
    assert (done.state, done.status) == ("delivered", 204)
    assert (await receiver.stdout.readline()).decode() == "execution.succeeded {'result': 'ä'}\n"


async def test_the_receiver_refuses_a_message_that_another_key_has_signed(receiver, webhook, port):
    other = SigningKey(b"l" * 32)
    forged = Webhook(webhook.webhook_id, ALICE, webhook.url, ENDS, SecretVersion(other.key_id, 2, SystemClock().now()))
    done = await sent(forged, port, '{"type": "execution.failed", "data": {}}', other)
    assert (done.state, done.status) == ("pending", 401)
