"""What `explain` says about the id of a message to a webhook."""

from datetime import timedelta

import pytest
from attrs import evolve

from domain.identity import NO_ID, Owner, uuid7_at
from domain.timeline import ClockReading, RetentionTimes, Timeline
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.webhook import ENDS, DisabledReason, Event, Health, SecretVersion, Webhook
from entrypoints.cli.explain.explanation import explain
from entrypoints.cli.explain.sentences import written
from tests.unit.domain.builders import START

ID = uuid7_at(START, 1)
DAY = timedelta(days=1)
TEST = Delivery(ID, uuid7_at(START, 2), Owner("alice"), Event.TEST, "{}", START + DAY)
ENDED = evolve(TEST, event=Event.FAILED, execution_id=uuid7_at(START, 3), request_id=NO_ID, attempted_at=START)


def explained(delivery):
    timeline = Timeline(ID, ClockReading(START, 0.25, 12.5), delivery=delivery)
    found = explain(timeline, RetentionTimes(DAY, 7, 30 * DAY))
    return found, {each.topic: each.text for each in found.statements}


def test_a_message_that_waits_has_its_next_attempt():
    found, facts = explained(TEST)
    assert (found.state, "2026" in found.summary) == ("under-way", True)
    assert set(facts) == {"message", "webhook", "retention"}
    assert "alice" in facts["webhook"]


def test_a_message_that_failed_says_why_and_what_to_do():
    failed = evolve(ENDED, state=DeliveryState.FAILED, attempts=10, status=500, error="it is broken")
    found, facts = explained(failed)
    assert found.state == "failed"
    assert "pglambda webhooks redeliver" in found.summary
    assert "10 attempts" in facts["attempts"]
    assert "at most 0 follow" in facts["attempts"]
    assert ("500" in facts["response"], "it is broken" in facts["error"]) == (True, True)
    assert str(failed.execution_id) in facts["execution"]


def test_a_delivered_message_counts_its_attempts():
    found, facts = explained(evolve(ENDED, state=DeliveryState.DELIVERED, attempts=1, status=204))
    assert (found.state, "1 attempt." in found.summary) == ("ended", True)
    assert "error" not in facts


def of_webhook(**facts):
    webhook = Webhook(ID, Owner("alice"), "https://example.com/secret", ENDS, SecretVersion("0123456789abcdef"))
    timeline = Timeline(ID, ClockReading(START, 0.25, 12.5), webhook=evolve(webhook, **facts))
    found = explain(timeline, RetentionTimes(DAY, 7, 30 * DAY))
    return found, [each.text for each in found.statements]


def test_a_webhook_has_its_owner_its_host_and_its_events():
    found, texts = of_webhook()
    assert (found.state, "is enabled" in found.summary) == ("active", True)
    assert "alice, and calls example.com." in texts[0]
    assert "secret" not in " ".join(texts)
    assert texts[1].startswith("It hears of execution.cancelled, ")
    assert of_webhook(events=frozenset())[1][1:] == ["It hears only of executions that name it."]


@pytest.mark.parametrize(
    ("reason", "why"),
    [(DisabledReason.OWNER, "its owner"), (DisabledReason.GONE, "410"), (DisabledReason.FAILING, "for too long")],
)
def test_a_disabled_webhook_says_why(reason, why):
    failing = Health(7, START, START)
    found, texts = of_webhook(disabled_reason=reason, disabled_at=START + DAY, health=failing, dropped=3)
    assert (found.state, why in found.summary) == ("failed", True)
    assert texts[2:] == [
        f"It was disabled at {written(START + DAY)}.",
        f"Attempts have failed since the last success: 7, the first at {written(START)}.",
        "Messages that were removed unsent: 3.",
    ]
