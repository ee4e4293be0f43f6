"""What is stored stays within its budget, and /health says what that costs."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from domain.storage.storage import Part
from entrypoints.cli.storage import storage_report
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from tests.integration.application.conftest import Api, serving, settings_for

pytestmark = pytest.mark.timeout(120)

_FILL = """
INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, params, params_length)
SELECT
    %(partition)s, gen_random_uuid(), (%(prefix)s || lpad(to_hex(n), 12, '0'))::uuid, 'anonymous', 'succeeded',
    repeat('x', 1900), 1900
FROM generate_series(1, 2000) AS n
"""


def fill(database_url: str, age_days: int) -> None:
    """Put 4 MB into the history of a day."""
    day = (datetime.now(UTC) - timedelta(days=age_days)).date()
    began_ms = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
    prefix = f"{began_ms:012x}"
    facts = {"partition": began_ms // 86_400_000 % 32, "prefix": f"{prefix[:8]}-{prefix[8:]}-7000-8000-"}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_FILL, facts)


async def storage_of(api: Api) -> dict:
    """Return the component once a sweep has looked."""
    async with asyncio.timeout(30):
        while True:
            component: dict = (await api.client.get("/health")).json()["components"]["storage"]
            if component["measured_at"] is not None:
                return component


async def test_history_is_shortened_to_the_budget_and_health_says_so(database_url: str, data_dir: Path) -> None:
    for age_days in (4, 3, 2):
        fill(database_url, age_days)
    async with serving(create_controller(settings_for(database_url, data_dir, STORAGE_MAX_GB="0.007"))) as api:
        found = await storage_of(api)
    assert found["status"] == "degraded"
    assert "STORAGE_MAX_GB" in found["reason"]
    assert found["budget_bytes"] == int(0.007 * 1024**3)
    assert found["stored_bytes"] == sum(found["parts_bytes"].values()) <= found["budget_bytes"]
    assert found["history_kept_days"] == 3
    assert found["history_retention_days"] == 7
    days = [datetime.now(UTC).date() - timedelta(days=age_days) for age_days in (4, 3)]
    assert [each["day"] for each in found["shortened"]] == [str(day) for day in days]


async def test_the_command_shows_sizes_days_and_free_space(database_url: str, data_dir: Path) -> None:
    fill(database_url, 2)
    settings = settings_for(database_url, data_dir, STORAGE_MAX_GB="1")
    report = await storage_report(Commands(settings=settings), data_dir)
    assert report.budget_bytes == 1024**3
    assert report.disk_free_bytes is not None
    assert report.facts.stored.history[0].amount.size_bytes > 4_000_000
    growth = report.growths[Part.HISTORY]
    assert growth.bytes_per_day > 2_000_000
    assert growth.kept_days == 7
    assert report.days_until_budget is None
