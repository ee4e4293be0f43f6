"""What `explain` says about the id of a message to a webhook."""

from datetime import timedelta

from attrs import evolve

from domain.identity import NO_ID, Owner, uuid7_at
from domain.timeline import ClockReading, RetentionTimes, Timeline
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.webhook import Event
from entrypoints.cli.explain.explanation import explain
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
