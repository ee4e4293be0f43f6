"""The rules of webhooks: signatures, secrets, retries, and when one is disabled."""

import base64
from datetime import timedelta

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock, no_jitter
from adapters.memory.sequential_ids import SequentialIds
from domain.identity import Owner
from domain.webhooks.delivery import (
    AGE_MAX,
    ATTEMPTS_MAX,
    RETRY_PAUSES,
    Delivery,
    DeliveryState,
    Reply,
    judge,
)
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import (
    ENDS,
    FAILING_MAX,
    FAILURES_MIN,
    FAILURES_SPAN,
    OVERLAP,
    DisabledReason,
    Event,
    Health,
    SecretVersion,
    Webhook,
    WebhookChanges,
)

NOW = ManualClock().now()
IDS = SequentialIds()
KEY = SigningKey(b"k" * 32)
ALICE = Owner("alice")
HOUR = timedelta(hours=1)
WEBHOOK = Webhook(IDS.new(NOW), ALICE, "https://example.com/", ENDS, SecretVersion(KEY.key_id))
DELIVERY = Delivery(IDS.new(NOW), WEBHOOK.webhook_id, ALICE, Event.SUCCEEDED, "{}", NOW)


def test_a_secret_has_the_form_of_the_specification_and_its_own_value_for_each_webhook_and_version():
    other = IDS.new(NOW)
    secrets = [KEY.secret(WEBHOOK.webhook_id, 1), KEY.secret(WEBHOOK.webhook_id, 2), KEY.secret(other, 1)]
    assert len(set(secrets)) == 3
    assert all(secret.startswith("whsec_") and len(base64.b64decode(secret[6:])) == 32 for secret in secrets)


def test_a_key_and_what_names_it_show_nothing_of_it():
    assert "kkk" not in repr(KEY)
    assert KEY.key_id == SigningKey(b"k" * 32).key_id != SigningKey(b"l" * 32).key_id
    assert len(KEY.key_id) == 16


def test_both_secrets_sign_for_a_day_after_a_rotation():
    rotated = WEBHOOK.rotate(KEY.key_id, NOW)
    assert rotated.secret.versions(NOW + OVERLAP - HOUR) == (2, 1)
    assert rotated.secret.versions(NOW + OVERLAP) == (2,)
    headers = KEY.headers(rotated.webhook_id, (2, 1), DELIVERY.delivery_id, NOW, b"{}")
    assert [part.split(",")[0] for part in headers["webhook-signature"].split(" ")] == ["v1", "v1"]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_delivers_the_message(status):
    done = judge(DELIVERY, Reply(status, answer="ok"), NOW, no_jitter)
    assert (done.state, done.attempts, done.status, done.error, done.answer) == ("delivered", 1, status, None, "ok")


@pytest.mark.parametrize("status", [100, 199, 300, 302, 400, 404, 429, 500, 503])
def test_any_other_status_is_a_failure_that_is_tried_again(status):
    done = judge(DELIVERY, Reply(status), NOW, no_jitter)
    assert (done.state, done.error) == (DeliveryState.PENDING, f"the receiver responded with status {status}")
    assert done.next_at == NOW + RETRY_PAUSES[0] * 1.2


def test_the_pauses_grow_and_the_last_attempt_is_the_tenth():
    done, now, pauses = DELIVERY, NOW, []
    for _ in range(ATTEMPTS_MAX - 1):
        done = judge(done, Reply(error="no"), now, no_jitter)
        pauses.append(done.next_at - now)
        now = done.next_at
    assert pauses == [pause * 1.2 for pause in RETRY_PAUSES]
    assert now - NOW < AGE_MAX
    assert judge(done, Reply(error="no"), now, no_jitter).state is DeliveryState.FAILED


def test_jitter_spreads_a_pause_by_a_fifth():
    spans = []

    def shortest(least_s, most_s):
        spans.append((least_s, most_s))
        return least_s

    assert judge(DELIVERY, Reply(500), NOW, shortest).next_at == NOW + timedelta(seconds=4)
    assert spans == [(4, 6)]


def test_the_receiver_can_ask_for_a_longer_pause_within_a_day_but_not_for_a_shorter_one():
    def due(retry_after):
        return judge(DELIVERY, Reply(503, retry_after=retry_after), NOW, no_jitter).next_at - NOW

    assert due(HOUR) == HOUR
    assert due(timedelta(0)) == RETRY_PAUSES[0] * 1.2
    assert due(timedelta(days=300)) == timedelta(days=1)


def test_no_attempt_follows_when_the_message_is_too_old():
    late = NOW + AGE_MAX - HOUR
    assert judge(DELIVERY, Reply(503, retry_after=HOUR), late, no_jitter).state is DeliveryState.FAILED


@pytest.mark.parametrize("reply", [Reply(500, aborts=True), Reply(410)])
def test_a_receiver_can_end_the_attempts(reply):
    assert judge(DELIVERY, reply, NOW, no_jitter).state is DeliveryState.FAILED


def test_the_begin_of_a_response_is_kept():
    assert judge(DELIVERY, Reply(200, answer="a" * 1000), NOW, no_jitter).answer == "a" * 200


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_receiver_that_is_overloaded_pauses_the_webhook(status):
    assert Reply(status).pause == timedelta(seconds=30)
    assert Reply(status, retry_after=HOUR).pause == HOUR
    assert Reply(status, retry_after=timedelta(days=9)).pause == timedelta(days=1)


def test_another_failure_pauses_only_the_message():
    assert Reply(500).pause is None
    assert Reply(error="no").pause is None


def test_a_message_that_is_sent_again_has_all_its_attempts():
    failed = evolve(DELIVERY, state=DeliveryState.FAILED, attempts=10, error="no")
    again = failed.again(NOW + HOUR)
    assert (again.state, again.attempts, again.next_at, again.error) == ("pending", 0, NOW + HOUR, None)


def failed(times, apart, webhook=WEBHOOK):
    for number in range(times):
        webhook = webhook.after_failure(NOW + number * apart)
    return webhook


def test_a_few_failures_do_not_start_the_clock():
    assert failed(FAILURES_MIN - 1, HOUR).health.failing_since is None


def test_several_failures_within_a_day_start_the_clock():
    webhook = failed(FAILURES_MIN, HOUR)
    assert webhook.health == Health(FAILURES_MIN, NOW, NOW + (FAILURES_MIN - 1) * HOUR)


def test_failures_that_are_a_day_apart_do_not():
    webhook = failed(10, FAILURES_SPAN + HOUR)
    assert (webhook.health.failures, webhook.health.failing_since) == (1, None)


def test_a_webhook_that_fails_for_five_days_is_disabled():
    webhook = failed(FAILURES_MIN, HOUR)
    since = webhook.health.failing_since
    assert webhook.after_failure(since + FAILING_MAX - HOUR).is_enabled
    dead = webhook.after_failure(since + FAILING_MAX)
    assert (dead.disabled_reason, dead.disabled_at) == (DisabledReason.FAILING, since + FAILING_MAX)
    assert dead.revision == webhook.revision + 1


def test_a_success_ends_the_failures():
    assert failed(FAILURES_MIN, HOUR).after_success() == WEBHOOK
    assert WEBHOOK.after_success() is WEBHOOK


def test_a_receiver_that_is_gone_disables_the_webhook_at_once():
    gone = WEBHOOK.after_failure(NOW, is_gone=True)
    assert (gone.is_enabled, gone.disabled_reason) == (False, DisabledReason.GONE)


def test_a_disabled_webhook_keeps_its_reason():
    off = WEBHOOK.disable(DisabledReason.OWNER, NOW)
    assert off.after_failure(NOW + HOUR, is_gone=True).disabled_reason is DisabledReason.OWNER
    assert off.switch(NOW + HOUR, enabled=False) is off


def test_an_enabled_webhook_begins_without_failures():
    dead = failed(FAILURES_MIN, HOUR).disable(DisabledReason.FAILING, NOW)
    on = WebhookChanges(enabled=True).apply(dead, NOW)
    assert (on.is_enabled, on.disabled_at, on.health) == (True, None, Health())
    assert on.switch(NOW, enabled=True) is on


def test_a_change_leaves_what_it_does_not_name():
    changed = WebhookChanges(events=frozenset(), description="").apply(WEBHOOK, NOW)
    assert changed == evolve(WEBHOOK, events=frozenset())
    off = WebhookChanges(url="https://other.example/", enabled=False).apply(WEBHOOK, NOW)
    assert (off.url, off.disabled_reason) == ("https://other.example/", DisabledReason.OWNER)
    assert off.created_at == NOW
