"""The contracts of WebhookRepository and DeliveryQueue."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock, no_jitter
from adapters.memory.sequential_ids import SequentialIds
from domain.audit import Act, ActName, AuditReader
from domain.errors import QuotaReached
from domain.idempotency import IdempotencyConflict, IdempotencyKey
from domain.identity import EVERY_OWNER, NO_ID, Owner
from domain.webhooks.delivery import Delivery, DeliveryNotFound, DeliveryState, Reply, judge
from domain.webhooks.ports import ClaimedTurns, DeliveryClaim, DeliveryQueue, WebhookRepository
from domain.webhooks.webhook import (
    ENDS,
    DisabledReason,
    Event,
    Health,
    SecretVersion,
    Webhook,
    WebhookChanges,
    WebhookNotFound,
)
from tests.support.acts import act, recorded

ALICE = Owner("alice")
BOB = Owner('bob, "the\\builder" ä')
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
KEY = IdempotencyKey("again", "a" * 64)


class WebhookContract:
    """Subclasses have the fixtures `webhooks`, `deliveries` and `audit`, on empty storage."""

    ids = SequentialIds()
    now = ManualClock().now()

    def act(self, name: ActName = ActName.WEBHOOKS_UPDATE) -> Act:
        return act(name, self.ids)

    def webhook(self, owner: Owner = ALICE, **facts: Any) -> Webhook:
        defaults = {"url": "https://example.com/", "events": ENDS, "secret": SecretVersion("0123456789abcdef")}
        return Webhook(self.ids.new(self.now), owner, **defaults | facts)

    async def added(self, webhooks: WebhookRepository, owner: Owner = ALICE, **facts: Any) -> Webhook:
        webhook = self.webhook(owner, **facts)
        await webhooks.add(webhook, 20, self.act(ActName.WEBHOOKS_CREATE))
        return webhook

    def delivery(self, webhook: Webhook, **facts: Any) -> Delivery:
        defaults = {"event": Event.SUCCEEDED, "payload": '{"a": "ä"}', "next_at": self.now}
        defaults |= {"request_id": self.ids.new(self.now), "execution_id": self.ids.new(self.now)}
        return Delivery(self.ids.new(self.now), webhook.webhook_id, webhook.owner, **defaults | facts)

    async def due(self, deliveries: DeliveryQueue, webhook: Webhook, **facts: Any) -> Delivery:
        delivery = self.delivery(webhook, **facts)
        await deliveries.add(delivery)
        return delivery

    def claim(self, **facts: Any) -> DeliveryClaim:
        defaults = {"now": self.now, "until": self.now + HOUR, "webhooks_max": 10, "owner_max": 10}
        defaults |= {"deliveries_max": 10, "after": NO_ID}
        return DeliveryClaim(**defaults | facts)

    async def claimed(self, deliveries: DeliveryQueue, **facts: Any) -> list[tuple[UUID, list[UUID]]]:
        """Return the ids of the webhooks that a claim gets, with those of their deliveries."""
        found = await deliveries.claim(self.claim(**facts))
        return [(turn.webhook.webhook_id, [each.delivery_id for each in turn.deliveries]) for turn in found.turns]

    async def attempted(
        self, deliveries: DeliveryQueue, delivery: Delivery, webhook: Webhook, reply: Reply
    ) -> tuple[Delivery, Webhook]:
        """Record an attempt by a process that has read the webhook as it is given."""
        done = judge(delivery, reply, self.now, no_jitter)
        after = webhook.after_success() if reply.is_success else webhook.after_failure(self.now, is_gone=reply.is_gone)
        await deliveries.record(done, webhook, after)
        return done, after

    # Webhooks

    async def test_an_added_webhook_is_found_by_its_owner(self, webhooks: WebhookRepository) -> None:
        off = {"disabled_reason": DisabledReason.OWNER, "disabled_at": self.now}
        webhook = await self.added(webhooks, BOB, description='a "text" ä', events=frozenset({Event.FAILED}), **off)
        assert await webhooks.find(BOB, webhook.webhook_id) == webhook
        assert await webhooks.find(EVERY_OWNER, webhook.webhook_id) == webhook
        with pytest.raises(WebhookNotFound):
            await webhooks.find(ALICE, webhook.webhook_id)

    async def test_adding_again_changes_and_records_nothing(
        self, webhooks: WebhookRepository, audit: AuditReader
    ) -> None:
        webhook = await self.added(webhooks)
        await webhooks.add(evolve(webhook, url="https://other.example/"), 1, self.act())
        assert await webhooks.find(ALICE, webhook.webhook_id) == webhook
        (entry,) = await recorded(audit)
        assert (entry.act, entry.owner, entry.subject) == ("webhooks.create", ALICE, str(webhook.webhook_id))
        assert entry.details == {"host": "example.com", "events": sorted(ENDS)}

    async def test_an_owner_has_a_limited_number_of_webhooks(self, webhooks: WebhookRepository) -> None:
        await self.added(webhooks)
        await self.added(webhooks, BOB)
        await webhooks.add(self.webhook(), 2, self.act())
        with pytest.raises(QuotaReached) as caught:
            await webhooks.add(self.webhook(), 2, self.act())
        assert (caught.value.limit, caught.value.allowed, caught.value.observed) == ("webhooks", 2, 2)

    async def test_one_webhook_of_an_owner_has_a_key(self, webhooks: WebhookRepository) -> None:
        first, second, of_bob = self.webhook(), self.webhook(), self.webhook(BOB)
        assert await webhooks.registered(ALICE, KEY) is None
        assert [await webhooks.add(each, 1, self.act(), KEY) for each in (first, first, second, of_bob)] == [
            True,
            True,
            False,
            True,
        ]
        changed = await webhooks.update(
            ALICE, first.webhook_id, lambda stored: evolve(stored, description="x"), self.act()
        )
        assert await webhooks.registered(ALICE, KEY) == changed
        with pytest.raises(IdempotencyConflict):
            await webhooks.registered(ALICE, evolve(KEY, payload_hash="b" * 64))
        await webhooks.remove(ALICE, first.webhook_id, self.act())
        assert await webhooks.registered(ALICE, KEY) is None
        assert await webhooks.registered(BOB, KEY) == of_bob
        assert await webhooks.add(second, 1, self.act(), KEY)

    async def test_of_webhooks_that_are_added_at_once_under_one_key_one_is_stored(
        self, webhooks: WebhookRepository
    ) -> None:
        made = [self.webhook() for _ in range(6)]
        stored = await asyncio.gather(*(webhooks.add(each, 20, self.act(), KEY) for each in made))
        (winner,) = [each for each, is_stored in zip(made, stored, strict=True) if is_stored]
        assert await webhooks.registered(ALICE, KEY) == winner
        assert (await webhooks.page(ALICE, None, 10)).items == [winner]

    async def test_a_change_is_stored_and_recorded(self, webhooks: WebhookRepository, audit: AuditReader) -> None:
        webhook = await self.added(webhooks)
        changes = WebhookChanges(
            "https://other.example:8443/secret?of=receiver", frozenset({Event.EXPIRED}), "new", enabled=False
        )
        changed = await webhooks.update(
            ALICE, webhook.webhook_id, lambda stored: changes.apply(stored, self.now), self.act()
        )
        assert changed == evolve(changes.apply(webhook, self.now), revision=2)
        assert await webhooks.find(ALICE, webhook.webhook_id) == changed
        entry = (await recorded(audit))[0]
        assert entry.details == {
            "host": "other.example:8443",
            "events": ["execution.expired"],
            "secret_version": 1,
            "enabled": False,
        }

    async def test_a_rotation_is_stored(self, webhooks: WebhookRepository) -> None:
        webhook = await self.added(webhooks)
        rotated = await webhooks.update(
            EVERY_OWNER, webhook.webhook_id, lambda stored: stored.rotate("fedcba9876543210", self.now), self.act()
        )
        assert rotated.secret == SecretVersion("fedcba9876543210", 2, self.now)
        assert await webhooks.find(ALICE, webhook.webhook_id) == rotated

    async def test_what_changes_nothing_is_not_recorded(self, webhooks: WebhookRepository, audit: AuditReader) -> None:
        webhook = await self.added(webhooks)
        assert await webhooks.update(ALICE, webhook.webhook_id, lambda stored: stored, self.act()) == webhook
        assert len(await recorded(audit)) == 1

    async def test_webhooks_of_others_are_neither_changed_nor_removed(self, webhooks: WebhookRepository) -> None:
        webhook = await self.added(webhooks)
        with pytest.raises(WebhookNotFound):
            await webhooks.update(BOB, webhook.webhook_id, lambda stored: stored, self.act())
        with pytest.raises(WebhookNotFound):
            await webhooks.remove(BOB, webhook.webhook_id, self.act())

    async def test_a_webhook_is_removed_with_its_deliveries(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue, audit: AuditReader
    ) -> None:
        webhook, other = await self.added(webhooks), await self.added(webhooks)
        delivery, kept = await self.due(deliveries, webhook), await self.due(deliveries, other)
        await webhooks.remove(ALICE, webhook.webhook_id, self.act(ActName.WEBHOOKS_DELETE))
        with pytest.raises(WebhookNotFound):
            await webhooks.find(ALICE, webhook.webhook_id)
        with pytest.raises(DeliveryNotFound):
            await deliveries.find(ALICE, delivery.delivery_id)
        assert await deliveries.find(ALICE, kept.delivery_id) == kept
        assert (await recorded(audit))[0].details == {"deliveries": 1}

    async def test_pages_show_an_owner_its_webhooks_newest_first(self, webhooks: WebhookRepository) -> None:
        first, _, second, third = [await self.added(webhooks, owner) for owner in (ALICE, BOB, ALICE, ALICE)]
        page = await webhooks.page(ALICE, None, 2)
        assert (page.items, page.next_after) == ([third, second], second.webhook_id)
        page = await webhooks.page(ALICE, page.next_after, 2)
        assert (page.items, page.next_after) == ([first], None)
        assert len((await webhooks.page(EVERY_OWNER, None, 10)).items) == 4

    # Deliveries

    async def test_an_added_delivery_is_found(self, webhooks: WebhookRepository, deliveries: DeliveryQueue) -> None:
        webhook = await self.added(webhooks, BOB)
        delivery = await self.due(deliveries, webhook)
        assert await deliveries.find(BOB, delivery.delivery_id) == delivery
        assert await deliveries.find(EVERY_OWNER, delivery.delivery_id) == delivery
        with pytest.raises(DeliveryNotFound):
            await deliveries.find(ALICE, delivery.delivery_id)

    async def test_adding_a_delivery_again_changes_nothing(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook, request_id=None, execution_id=None, event=Event.TEST)
        await deliveries.add(evolve(delivery, payload="{}"))
        assert await deliveries.find(ALICE, delivery.delivery_id) == delivery

    async def test_a_delivery_needs_a_webhook_of_its_owner(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        with pytest.raises(WebhookNotFound):
            await deliveries.add(self.delivery(evolve(webhook, owner=BOB)))

    async def test_pages_show_the_deliveries_of_a_webhook_by_state(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook, other = await self.added(webhooks), await self.added(webhooks)
        first, second, third = [await self.due(deliveries, webhook) for _ in range(3)]
        await self.due(deliveries, other)
        done, _ = await self.attempted(deliveries, second, webhook, Reply(200))
        page = await deliveries.page(ALICE, webhook.webhook_id, None, 2, None)
        assert (page.items, page.next_after) == ([third, done], second.delivery_id)
        page = await deliveries.page(ALICE, webhook.webhook_id, page.next_after, 2, None)
        assert (page.items, page.next_after) == ([first], None)
        pending = await deliveries.page(ALICE, webhook.webhook_id, None, 10, DeliveryState.PENDING)
        assert pending.items == [third, first]
        assert (await deliveries.page(BOB, webhook.webhook_id, None, 10, None)).items == []

    async def test_a_claim_gets_what_is_due_the_longest_due_first(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        late, first = [await self.due(deliveries, webhook, next_at=self.now - span) for span in (MINUTE, HOUR)]
        await self.due(deliveries, webhook, next_at=self.now + MINUTE)
        found = await deliveries.claim(self.claim())
        (turn,) = found.turns
        assert (turn.webhook, list(turn.deliveries)) == (webhook, [first, late])

    async def test_a_claim_is_bounded(self, webhooks: WebhookRepository, deliveries: DeliveryQueue) -> None:
        for webhook in [await self.added(webhooks) for _ in range(3)]:
            for _ in range(3):
                await self.due(deliveries, webhook)
        found = await self.claimed(deliveries, webhooks_max=2, deliveries_max=2)
        assert [len(ids) for _, ids in found] == [2, 2]

    async def test_an_owner_gets_a_bounded_part_of_a_claim_and_nothing_while_it_is_blocked(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        made = [await self.added(webhooks, owner) for owner in (ALICE, ALICE, ALICE, BOB)]
        for webhook in made:
            await self.due(deliveries, webhook)
        first, second, third, other = [webhook.webhook_id for webhook in made]
        assert [each for each, _ in await self.claimed(deliveries, owner_max=2)] == [first, second, other]
        assert await self.claimed(deliveries, blocked=[ALICE]) == []
        assert [each for each, _ in await self.claimed(deliveries, blocked=[BOB])] == [third]

    async def test_the_webhooks_behind_the_last_one_come_first(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        made = [await self.added(webhooks) for _ in range(3)]
        for webhook in made:
            await self.due(deliveries, webhook)
        first, second, third = [webhook.webhook_id for webhook in made]
        found = await deliveries.claim(self.claim(webhooks_max=2, after=second))
        assert [turn.webhook.webhook_id for turn in found.turns] == [third, first]
        assert found.reached == first
        assert [webhook for webhook, _ in await self.claimed(deliveries, after=first)] == [second]

    async def test_a_webhook_is_claimed_by_one_at_a_time_until_its_claim_ends(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook)
        expected = [(webhook.webhook_id, [delivery.delivery_id])]
        assert await self.claimed(deliveries) == expected
        assert await self.claimed(deliveries, now=self.now + HOUR - MINUTE) == []
        assert await self.claimed(deliveries, now=self.now + HOUR, until=self.now + 2 * HOUR) == expected

    async def test_a_release_ends_a_claim_and_can_pause_the_webhook(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        await self.due(deliveries, webhook)
        await self.claimed(deliveries)
        await deliveries.release(webhook.webhook_id, self.now + HOUR, self.now + MINUTE)
        assert await self.claimed(deliveries) == []
        assert len(await self.claimed(deliveries, now=self.now + MINUTE)) == 1

    async def test_a_release_without_a_pause_holds_for_a_clock_that_is_set_back_too(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        await self.due(deliveries, webhook, next_at=self.now - 2 * HOUR)
        await self.claimed(deliveries)
        await deliveries.release(webhook.webhook_id, self.now + HOUR, None)
        assert len(await self.claimed(deliveries, now=self.now - HOUR)) == 1

    @pytest.mark.parametrize("url", ["https://example.com/", "https://repaired.example/"])
    async def test_an_owner_ends_a_pause_by_enabling_the_webhook_or_by_another_url(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue, url: str
    ) -> None:
        webhook = await self.added(webhooks)
        await self.claimed_for_a_pause(webhooks, deliveries, webhook)
        if url == webhook.url:
            for enabled in (False, True):
                changes = WebhookChanges(enabled=enabled)
                await webhooks.update(
                    ALICE, webhook.webhook_id, lambda stored, to=changes: to.apply(stored, self.now), self.act()
                )
        else:
            await webhooks.update(
                ALICE, webhook.webhook_id, lambda stored: evolve(stored, url=url, description="new"), self.act()
            )
        await self.due(deliveries, webhook)
        assert [each for each, _ in await self.claimed(deliveries)] == [webhook.webhook_id]

    async def claimed_for_a_pause(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue, webhook: Webhook
    ) -> None:
        await self.due(deliveries, webhook)
        await self.claimed(deliveries)
        await deliveries.release(webhook.webhook_id, self.now + HOUR, self.now + HOUR)
        await webhooks.update(ALICE, webhook.webhook_id, lambda stored: evolve(stored, description="any"), self.act())
        assert await self.claimed(deliveries) == []

    async def test_a_claim_that_has_ended_releases_nothing(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        await self.due(deliveries, webhook)
        await self.claimed(deliveries)
        await deliveries.release(webhook.webhook_id, self.now + MINUTE, self.now)
        assert await self.claimed(deliveries) == []

    async def test_nothing_is_claimed_without_due_deliveries(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        await self.added(webhooks)
        found = await deliveries.claim(self.claim())
        assert isinstance(found, ClaimedTurns)
        assert list(found.turns) == []

    async def test_a_delivered_message_is_not_claimed_again(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook)
        done, _ = await self.attempted(deliveries, delivery, webhook, Reply(204, answer="ok"))
        assert await deliveries.find(ALICE, delivery.delivery_id) == done
        assert await self.claimed(deliveries) == []
        assert await webhooks.find(ALICE, webhook.webhook_id) == webhook

    async def test_a_record_says_whether_the_webhook_is_still_as_it_was_read(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        first, second, third = [await self.due(deliveries, webhook) for _ in range(3)]
        done = judge(first, Reply(200), self.now, no_jitter)
        assert await deliveries.record(done, webhook, webhook)
        await webhooks.update(
            ALICE, webhook.webhook_id, lambda stored: evolve(stored, url="https://a.example/"), self.act()
        )
        assert not await deliveries.record(judge(second, Reply(200), self.now, no_jitter), webhook, webhook)
        assert (await deliveries.find(ALICE, second.delivery_id)).state is DeliveryState.DELIVERED
        await webhooks.remove(ALICE, webhook.webhook_id, self.act())
        assert not await deliveries.record(judge(third, Reply(200), self.now, no_jitter), webhook, webhook)

    async def test_a_failed_attempt_counts_against_the_webhook_and_is_due_again(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook)
        done, after = await self.attempted(deliveries, delivery, webhook, Reply(500, answer="no"))
        assert await deliveries.find(ALICE, delivery.delivery_id) == done
        assert await webhooks.find(ALICE, webhook.webhook_id) == after
        assert await self.claimed(deliveries) == []
        assert await self.claimed(deliveries, now=done.next_at) == [(webhook.webhook_id, [done.delivery_id])]

    async def test_a_success_ends_the_failures(self, webhooks: WebhookRepository, deliveries: DeliveryQueue) -> None:
        webhook = await self.added(webhooks)
        first, second = await self.due(deliveries, webhook), await self.due(deliveries, webhook)
        _, failing = await self.attempted(deliveries, first, webhook, Reply(error="no"))
        await self.attempted(deliveries, second, failing, Reply(200))
        assert (await webhooks.find(ALICE, webhook.webhook_id)).health == Health()

    async def test_what_waits_for_a_receiver_that_is_gone_fails(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        first, second = await self.due(deliveries, webhook), await self.due(deliveries, webhook)
        await self.attempted(deliveries, first, webhook, Reply(410))
        found = await webhooks.find(ALICE, webhook.webhook_id)
        assert (found.disabled_reason, found.disabled_at) == (DisabledReason.GONE, self.now)
        ended = [await deliveries.find(ALICE, each.delivery_id) for each in (first, second)]
        assert [(each.state, each.error) for each in ended] == [
            ("failed", "the receiver responded with status 410"),
            ("failed", "the webhook was disabled"),
        ]
        assert await self.claimed(deliveries) == []

    async def test_an_attempt_that_disables_a_failing_webhook_is_its_last(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook)
        dead = evolve(webhook.disable(DisabledReason.FAILING, self.now), revision=2)
        await deliveries.record(judge(delivery, Reply(500), self.now, no_jitter), webhook, dead)
        found = await deliveries.find(ALICE, delivery.delivery_id)
        assert (found.state, found.attempts, found.error) == ("failed", 1, "the receiver responded with status 500")

    async def test_an_attempt_does_not_undo_what_the_owner_has_changed_meanwhile(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook)
        changed = await webhooks.update(
            ALICE, webhook.webhook_id, lambda stored: evolve(stored, url="https://new.example/"), self.act()
        )
        await self.attempted(deliveries, delivery, webhook, Reply(410))
        assert await webhooks.find(ALICE, webhook.webhook_id) == changed

    async def test_an_attempt_is_recorded_once(self, webhooks: WebhookRepository, deliveries: DeliveryQueue) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook)
        done, _ = await self.attempted(deliveries, delivery, webhook, Reply(200, answer="first"))
        await self.attempted(deliveries, delivery, webhook, Reply(500, answer="second"))
        assert await deliveries.find(ALICE, delivery.delivery_id) == done

    async def test_what_waits_for_a_webhook_that_its_owner_disables_fails(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        delivery = await self.due(deliveries, webhook)
        off = WebhookChanges(enabled=False)
        await webhooks.update(ALICE, webhook.webhook_id, lambda stored: off.apply(stored, self.now), self.act())
        found = await deliveries.find(ALICE, delivery.delivery_id)
        assert (found.state, found.error) == ("failed", "the webhook was disabled")

    async def test_a_webhook_that_is_enabled_again_has_no_failures(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        await self.attempted(deliveries, await self.due(deliveries, webhook), webhook, Reply(410))
        on = WebhookChanges(enabled=True)
        enabled = await webhooks.update(
            ALICE, webhook.webhook_id, lambda stored: on.apply(stored, self.now), self.act()
        )
        assert (enabled.is_enabled, enabled.health) == (True, Health())
        assert await webhooks.find(ALICE, webhook.webhook_id) == enabled

    async def test_a_message_is_sent_again_with_all_its_attempts(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = await self.added(webhooks)
        done, _ = await self.attempted(deliveries, await self.due(deliveries, webhook), webhook, Reply(200))
        again = await deliveries.send_again(ALICE, done.delivery_id, self.now)
        assert again == done.again(self.now)
        assert await self.claimed(deliveries) == [(webhook.webhook_id, [done.delivery_id])]
        with pytest.raises(DeliveryNotFound):
            await deliveries.send_again(BOB, done.delivery_id, self.now)


class WebhookCopyContract(WebhookContract):
    """The contract of copies, of a repository that is one bucket."""

    async def test_a_copy_is_found_as_the_webhook_without_its_health_and_its_key(
        self, webhooks: WebhookRepository, audit: AuditReader
    ) -> None:
        webhook = self.webhook(BOB, description="ä", revision=3, health=Health(1, self.now), dropped=4)
        for _ in range(2):
            await webhooks.copy(webhook)
        assert await webhooks.find(BOB, webhook.webhook_id) == evolve(webhook, health=Health(), dropped=0)
        assert await webhooks.registered(BOB, KEY) is None
        assert await recorded(audit) == []

    async def test_a_copy_is_replaced_unless_it_is_newer(self, webhooks: WebhookRepository) -> None:
        webhook = self.webhook(revision=2)
        newer = evolve(
            webhook, url="https://new.example/", events=frozenset(), secret=webhook.secret.rotate("1" * 16, self.now)
        )
        await webhooks.copy(webhook)
        await webhooks.copy(evolve(newer, revision=1))
        assert await webhooks.find(ALICE, webhook.webhook_id) == webhook
        for revision, owner in ((2, ALICE), (3, BOB)):
            wanted = evolve(newer, revision=revision, owner=owner)
            await webhooks.copy(wanted)
            assert await webhooks.find(owner, webhook.webhook_id) == wanted

    async def test_what_waits_for_a_copy_that_is_disabled_fails_and_what_comes_later_is_sent_once_it_is_enabled(
        self, webhooks: WebhookRepository, deliveries: DeliveryQueue
    ) -> None:
        webhook = self.webhook()
        await webhooks.copy(webhook)
        failed = await self.due(deliveries, webhook)
        _, failing = await self.attempted(deliveries, failed, webhook, Reply(500))
        await webhooks.copy(evolve(failing, description="changed", revision=2))
        assert (await webhooks.find(ALICE, webhook.webhook_id)).health == failing.health
        assert await self.claimed(deliveries, now=self.now + HOUR) == [(webhook.webhook_id, [failed.delivery_id])]
        await webhooks.copy(evolve(webhook.disable(DisabledReason.OWNER, self.now), revision=3))
        assert (await deliveries.find(ALICE, failed.delivery_id)).error == "the webhook was disabled"
        await webhooks.copy(evolve(webhook, revision=4))
        assert (await webhooks.find(ALICE, webhook.webhook_id)).health == Health()
        later = await self.due(deliveries, webhook)
        assert await self.claimed(deliveries) == [(webhook.webhook_id, [later.delivery_id])]
