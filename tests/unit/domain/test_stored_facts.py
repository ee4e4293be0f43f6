"""What is stored in several buckets counts together."""

from datetime import UTC, datetime, timedelta

from domain.stored_facts import QueueLanguageFacts, ScheduleFacts, WebhookFacts, earliest

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=1)


def test_the_first_instant_is_found_among_those_that_are_known():
    assert earliest(None, NOW, BEFORE, None) == BEFORE
    assert earliest(None) is None


def test_a_language_has_one_queue_out_of_those_of_all_buckets():
    parts = [
        QueueLanguageFacts("python", 1, None, 2),
        QueueLanguageFacts("nodejs", 0, None, 0),
        QueueLanguageFacts("python", 10, NOW, 20),
        QueueLanguageFacts("nodejs", 3, BEFORE, 0),
        QueueLanguageFacts("python", 100, BEFORE, 0),
    ]
    assert QueueLanguageFacts.together(parts) == [
        QueueLanguageFacts("python", 111, BEFORE, 22),
        QueueLanguageFacts("nodejs", 3, BEFORE, 0),
    ]


def test_copies_of_webhooks_count_once_and_the_first_message_in_any_bucket_counts():
    home, copies = WebhookFacts(2, 1, NOW), [WebhookFacts(2, 1, None), WebhookFacts(2, 1, BEFORE)]
    assert WebhookFacts.together(home, *copies) == WebhookFacts(2, 1, BEFORE)


def test_late_schedules_of_all_buckets_count():
    parts = [ScheduleFacts(0, None, 1), ScheduleFacts(2, NOW, 0), ScheduleFacts(3, BEFORE, 4)]
    assert ScheduleFacts.together(parts) == ScheduleFacts(5, BEFORE, 5)
