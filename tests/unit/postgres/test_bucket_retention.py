"""Several buckets have one cleanup and one storage budget."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define
from structlog.contextvars import get_contextvars

from adapters.postgres.health import DatabaseHealth
from adapters.postgres.retention.bucket_cleanups import BucketCleanups
from adapters.postgres.retention.history_budget import BucketBudgets, HistoryBudget
from domain.cleanup import CleanupFailure, CleanupStats
from domain.stats import ClockStats, DatabaseStats, StorageState
from domain.storage.storage import Amount, HistoryDay, Part, StorageBudget, Stored
from entrypoints.telemetry.metrics.database import DatabaseMetrics

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
BUDGET = StorageBudget(10, 7)
HISTORY = [HistoryDay(NOON.date(), Amount(1))]


class Paused(Exception):
    """The first round is over."""


@define(eq=False)
class OneBucket:
    name: str
    log: list
    failures: tuple[CleanupFailure, ...] = ()

    async def try_once(self):
        self.log.append(f"{self.name} begins as bucket {get_contextvars()['bucket']}")
        await asyncio.sleep(0)
        self.log.append(f"{self.name} ends")

    def stats(self):
        return CleanupStats(runs=1, failures=self.failures)


async def test_buckets_are_cleaned_up_one_after_the_other_and_named_in_the_log():
    log = []

    async def pause(_):
        raise Paused

    cleanups = BucketCleanups(OneBucket("home", log), sleep=pause)
    cleanups.add(3, OneBucket("third", log))
    with pytest.raises(Paused):
        await cleanups.run()
    assert log == ["home begins as bucket 0", "home ends", "third begins as bucket 3", "third ends"]
    assert get_contextvars() == {}
    assert cleanups.stats().runs == 2


def of_cleanup(cleanup) -> DatabaseHealth:
    return DatabaseHealth(None, None, None, cleanup, None, None, None, None, 1, "home")


async def test_the_health_names_the_buckets_whose_cleanup_failed():
    cleanups = BucketCleanups(OneBucket("home", []))
    cleanups.add(2, OneBucket("second", [], (CleanupFailure(61.04, "No right."),)))
    cleanups.add(3, OneBucket("third", []))
    facts = await of_cleanup(cleanups).cleanup()
    assert (facts["status"], facts["reason"]) == ("degraded", "The cleanup of bucket 2 has failed for 61 s: No right.")
    assert facts["failing"] == [{"bucket": 2, "failing_seconds": 61.0, "reason": "No right."}]


def test_a_metric_says_for_how_long_the_cleanup_of_a_bucket_has_failed():
    failures = [CleanupFailure(5.5, "No time."), CleanupFailure(61.0, "No right.", bucket=2)]
    stats = DatabaseStats({}, {}, ClockStats(0.0, 0.0, 0.0, True), CleanupStats(failures=failures), None, BUDGET)
    samples = [sample for metric in DatabaseMetrics(lambda: stats).collect() for sample in metric.samples]
    failing = [(each.labels, each.value) for each in samples if each.name == "pglambda_cleanup_failing_seconds"]
    assert failing == [({"bucket": "0"}, 5.5), ({"bucket": "2"}, 61.0)]


async def test_the_health_of_a_plain_database_names_no_bucket():
    facts = await of_cleanup(OneBucket("home", [], (CleanupFailure(5, "No time."),))).cleanup()
    assert facts["reason"] == "The cleanup has failed for 5 s: No time."
    assert (await of_cleanup(OneBucket("home", [])).cleanup())["status"] == "ok"


def measured(budget, size_bytes, at=NOON):
    bucket = HistoryBudget(None, None, None, budget)
    bucket.state = StorageState(at, Stored({Part.SESSIONS: Amount(size_bytes)}, HISTORY), [], is_exceeded=False)
    return bucket


def test_each_bucket_counts_what_the_others_had_at_their_last_measurement():
    budget = StorageBudget(10, 7)
    together = BucketBudgets(budget)
    assert together.state is None
    home, lately = measured(budget, 3), measured(budget, 4)
    away, fresh = measured(budget, 5, NOON - timedelta(hours=1)), HistoryBudget(None, None, None, budget)
    for each in (home, lately, away, fresh):
        together.add(each)
    elsewhere = home.elsewhere(NOON)
    assert [(each.size_bytes, each.history) for each in elsewhere] == [(4, HISTORY), (5, ())]
    assert together.state.stored.size_bytes == 12
    assert together.state.is_exceeded
