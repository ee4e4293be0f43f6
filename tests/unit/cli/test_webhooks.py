"""The command `webhooks`."""

import json

import pytest
from attrs import define, evolve, field
from click.testing import CliRunner
from dependency_injector import providers

from adapters.memory.audit import MemoryAudit
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookRepository, MemoryWebhookStore
from domain.identity import Owner
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.service import WebhookPolicy, WebhookService
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import ENDS, DisabledReason, Event, Health, SecretVersion, Webhook
from entrypoints.cli.main import cli
from tests.support.acts import OPERATOR
from tests.support.commands import commands_with

KEY = SigningKey(b"k" * 32)
NOWHERE = "01890000-0000-7000-8000-000000000000"


@define(eq=False)
class World:
    """The command over fakes."""

    store: MemoryWebhookStore = field(factory=MemoryWebhookStore)
    audit: MemoryAudit = field(factory=MemoryAudit)
    clock: ManualClock = field(factory=ManualClock)
    ids: SequentialIds = field(factory=SequentialIds)

    def run(self, *arguments):
        webhooks, deliveries = MemoryWebhookRepository(self.store, self.audit), MemoryDeliveryQueue(self.store)
        service = WebhookService(self.clock, self.ids, webhooks, deliveries, KEY, WebhookPolicy(1.0), lambda: None)
        container = commands_with(webhooks=providers.Object(service), actor=providers.Object(OPERATOR))
        environment = {"DATABASE_URL": "postgresql://nobody/nothing"}
        return CliRunner().invoke(cli, ["webhooks", *arguments], obj=container, env=environment)

    def json(self, *arguments):
        result = self.run(*arguments, "--output", "json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def webhook(self, owner="alice", **facts):
        made = {"events": ENDS, "secret": SecretVersion(KEY.key_id)} | facts
        webhook = Webhook(self.ids.new(self.clock.now()), Owner(owner), "https://example.com/", **made)
        self.store.webhooks[webhook.webhook_id] = webhook
        return webhook


@pytest.fixture
def world():
    return World()


def test_webhooks_of_all_owners_are_listed_or_those_of_one(world):
    first, second = world.webhook(), world.webhook("bob", events=frozenset({Event.FAILED}))
    assert [each["id"] for each in world.json("list")] == [str(second.webhook_id), str(first.webhook_id)]
    (listed,) = world.json("list", "--owner", "bob")
    assert (listed["owner"], listed["events"], listed["disabled"]) == ("bob", ["failed"], None)
    assert "https://example.com/" in world.run("list").stdout


def test_without_webhooks_the_list_says_so(world):
    assert world.run("list").stdout == "No webhooks.\n"


def test_what_is_wrong_with_a_webhook_is_shown(world):
    now = world.clock.now()
    webhook = world.webhook(health=Health(7, now, now))
    shown = world.run("show", str(webhook.webhook_id)).stdout
    assert "2026-01-02T03:04:05Z" in shown
    assert "No messages." in shown


def test_a_webhook_whose_secret_follows_from_another_key_is_not_signable(world):
    world.webhook(), world.webhook(secret=SecretVersion("0" * 16))
    assert [each["signable"] for each in world.json("list")] == [False, True]


def test_a_test_is_sent_shown_and_sent_again(world):
    webhook = world.webhook()
    sent = world.json("test", str(webhook.webhook_id))
    assert (sent["event"], sent["state"]) == ("webhook.test", "pending")
    (stored,) = world.store.deliveries.values()
    failed = evolve(stored, state=DeliveryState.FAILED, attempts=10, status=500, error="it is broken")
    world.store.deliveries[stored.delivery_id] = failed
    shown = world.json("show", str(webhook.webhook_id), "--state", "failed")
    assert [each["last_error"] for each in shown["deliveries"]] == ["it is broken"]
    assert "it is broken" in world.run("show", str(webhook.webhook_id)).stdout
    assert world.json("show", str(webhook.webhook_id), "--state", "pending")["deliveries"] == []
    assert "pending" in world.run("redeliver", sent["id"]).stdout
    assert world.store.deliveries[stored.delivery_id].state is DeliveryState.PENDING


def test_a_webhook_is_disabled_with_consent_and_the_act_is_recorded(world):
    webhook = world.webhook()
    refused = world.run("disable", str(webhook.webhook_id))
    assert (refused.exit_code, world.store.webhooks[webhook.webhook_id].is_enabled) == (2, True)
    result = world.run("disable", str(webhook.webhook_id), "--yes")
    assert result.exit_code == 0, result.output
    assert world.store.webhooks[webhook.webhook_id].disabled_reason is DisabledReason.OWNER
    (entry,) = world.audit.entries.values()
    assert (entry.act, entry.actor, entry.owner) == ("webhooks.update", OPERATOR, "alice")
    assert world.run("disable", str(webhook.webhook_id)).exit_code == 0


@pytest.mark.parametrize("command", ["show", "test", "redeliver", "disable"])
def test_an_id_of_nothing_is_an_error(world, command):
    result = world.run(command, NOWHERE)
    assert result.exit_code == 1
    assert "no webhook" in result.output or "no delivery" in result.output
