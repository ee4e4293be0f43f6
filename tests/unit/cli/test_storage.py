"""The command `storage`."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define
from click import unstyle
from click.testing import CliRunner

from domain.errors import StorageUnavailable
from domain.storage.growth import StorageFacts, StorageReport
from domain.storage.storage import Amount, HistoryDay, Part, StorageBudget, Stored
from entrypoints.cli.main import cli
from entrypoints.cli.output import Output
from entrypoints.cli.storage import written
from tests.support.commands import commands_with

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MIB = 1024**2
STORED = Stored(
    dict.fromkeys(Part, Amount())
    | {Part.SESSIONS: Amount(3 * MIB, 1200), Part.HISTORY: Amount(10 * MIB, 40), Part.FUNCTIONS: Amount(512, 2)},
    [HistoryDay(NOON.date() - DAY, Amount(8 * MIB, 30)), HistoryDay(NOON.date(), Amount(2 * MIB, 10))],
)
FACTS = StorageFacts(STORED, NOON, {Part.SESSIONS: NOON - 3 * DAY}, None, 7, 1.0)


@define
class ManualSurvey:
    found: StorageFacts
    failure: Exception | None = None

    async def facts(self) -> StorageFacts:
        if self.failure is not None:
            raise self.failure
        return self.found


def run(*arguments, facts=FACTS, failure=None, budget_mib=None):
    container = commands_with(
        storage_survey=ManualSurvey(facts, failure), storage_budget=StorageBudget(budget_mib and budget_mib * MIB, 7)
    )
    env = {"DATABASE_URL": "postgresql://nobody/nothing"}
    return CliRunner().invoke(cli, ["storage", *arguments], obj=container, env=env)


def test_the_report_has_tables():
    text = unstyle(written(StorageReport(FACTS, budget_bytes=100 * MIB, disk_free_bytes=5 * 1024**5), Output.TABLE))
    lines = [line.split() for line in text.splitlines()]
    sessions = "sessions 3.0 MiB 1,200 2026-11-07 12:00:00Z 400 1.0 MiB 3.0 days"
    assert sessions.split() in lines
    assert ["functions", "512", "B", "2"] in lines
    assert ["all", "13.0", "MiB"] in lines
    assert ["2026-11-09", "8.0", "MiB", "30"] in lines
    # 87 MiB are left, 9 a day come in for 5.75 days until the history has its seven days, and then 1 a day.
    assert "Budget (STORAGE_MAX_GB): 100.0 MiB, exceeded in 41.0 days at the present growth." in text
    assert "Free on the disk: 5,120.0 TiB, not full within ten years at the present growth." in text


def test_an_exceeded_budget_is_named():
    result = run(budget_mib=1)
    assert result.exit_code == 0
    assert "exceeded now." in result.output


def test_a_storage_that_stops_growing_has_the_size_at_which_it_ends():
    """Sessions add 1 MiB a day and are kept for ten days, of which three have passed."""
    facts = StorageFacts(STORED, NOON, {Part.SESSIONS: NOON - timedelta(days=3)}, 10.0, 7, 1.0)
    text = written(StorageReport(facts, budget_bytes=1000 * MIB), Output.TABLE)
    assert "not exceeded: rows are removed after their retention, so it ends at about " in text


def test_without_a_budget_the_report_names_the_setting():
    result = run()
    assert "STORAGE_MAX_GB is not set" in result.output
    assert "Free on the disk" not in result.output


@pytest.mark.parametrize(("age", "text"), [(timedelta(minutes=90), "1.5 hours"), (timedelta(minutes=5), "5 minutes")])
def test_a_short_observation_has_a_small_unit(age, text):
    facts = StorageFacts(STORED, NOON, {Part.SESSIONS: NOON - age}, None, 7, 1.0)
    assert text in run(facts=facts).output


def test_without_growth_the_report_says_so():
    empty = Stored(dict.fromkeys(Part, Amount()), [])
    facts = StorageFacts(empty, NOON, {}, None, 7, 1.0)
    text = written(StorageReport(facts, budget_bytes=MIB, disk_free_bytes=MIB), Output.TABLE)
    assert "at the present growth" not in text
    assert "Free on the disk: 1.0 MiB, unknown when it is full." in text
    assert "long enough to compute its growth" in text
    assert "history of" not in text


def test_the_report_as_json():
    result = run("--output", "json", budget_mib=1)
    document = json.loads(result.output)
    assert document["size_bytes"] == 13 * MIB + 512
    assert (document["budget_bytes"], document["days_until_budget"], document["days_until_disk"]) == (MIB, 0, None)
    assert document["history_days"][0] == {"day": "2026-11-09", "size_bytes": 8 * MIB, "rows_estimated": 30}
    assert document["parts"]["sessions"] == {
        "size_bytes": 3 * MIB,
        "rows_estimated": 1200,
        "oldest_at": "2026-11-07T12:00:00+00:00",
        "rows_per_day": 400.0,
        "bytes_per_day": float(MIB),
        "seen_for_seconds": 3 * 86_400.0,
        "kept_days": None,
    }
    assert document["parts"]["functions"]["rows_per_day"] is None


@pytest.mark.parametrize(
    ("failure", "more"),
    [(RuntimeError("The schema lacks 0001."), ""), (StorageUnavailable(), " Run `pglambda doctor` to see why.")],
)
def test_a_failure_is_one_line(failure, more):
    result = run(failure=failure)
    assert (result.exit_code, result.output) == (1, f"Error: {failure}{more}\n")
