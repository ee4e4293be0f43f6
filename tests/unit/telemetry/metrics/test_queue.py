"""The backlog of the queue is exposed by language."""

from datetime import UTC, datetime

from domain.cleanup import QueueBacklog
from domain.scripts.language import Language
from entrypoints.telemetry.metrics.queue import backlogs

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def test_a_language_without_a_due_execution_has_a_depth_and_no_age():
    found = {Language.PYTHON: QueueBacklog(8, NOON), Language.NODEJS: QueueBacklog(2, None)}
    samples = [(each.name, each.labels, each.value) for metric in backlogs(found) for each in metric.samples]
    assert samples == [
        ("pglambda_queue_entries", {"language": "python"}, 8),
        ("pglambda_queue_entries", {"language": "nodejs"}, 2),
        ("pglambda_queue_oldest_due_timestamp_seconds", {"language": "python"}, NOON.timestamp()),
    ]
