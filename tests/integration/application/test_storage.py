"""What is stored stays within its budget, and /health says what that costs."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from entrypoints.container.controller import create_controller
from tests.integration.application.conftest import Api, serving, settings_for

pytestmark = pytest.mark.timeout(120)

_FILL = """
INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, params, params_length)
SELECT
    %(slot)s, gen_random_uuid(), (%(prefix)s || lpad(to_hex(n), 12, '0'))::uuid, 'anonymous', 'succeeded',
    repeat('x', 1900), 1900
FROM generate_series(1, 2000) AS n
"""


def fill(database_url: str, age_days: int) -> None:
    """Put 4 MB into the history of a day."""
    day = (datetime.now(UTC) - timedelta(days=age_days)).date()
    began_ms = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
    prefix = f"{began_ms:012x}"
    facts = {"slot": began_ms // 86_400_000 % 32, "prefix": f"{prefix[:8]}-{prefix[8:]}-7000-8000-"}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_FILL, facts)


async def storage_of(api: Api) -> dict:
    """Return the component once a sweep has looked."""
    async with asyncio.timeout(30):
        while True:
            component = (await api.client.get("/health")).json()["components"]["storage"]
            if component["measured_at"] is not None:
                return component


async def test_history_is_shortened_to_the_budget_and_health_says_so(database_url: str, data_dir: Path) -> None:
    for age_days in (4, 3, 2):
        fill(database_url, age_days)
    async with serving(create_controller(settings_for(database_url, data_dir, STORAGE_MAX_GB="0.007"))) as api:
        storage = await storage_of(api)
    assert storage["status"] == "degraded"
    assert "STORAGE_MAX_GB" in storage["reason"]
    assert storage["budget_bytes"] == int(0.007 * 1024**3)
    assert storage["stored_bytes"] == sum(storage["parts_bytes"].values()) <= storage["budget_bytes"]
    assert storage["history_kept_days"] == 3
    assert storage["history_retention_days"] == 7
    days = [datetime.now(UTC).date() - timedelta(days=age_days) for age_days in (4, 3)]
    assert [each["day"] for each in storage["shortened"]] == [str(day) for day in days]


async def test_a_budget_that_cannot_be_kept_is_told_with_what_to_do(database_url: str, data_dir: Path) -> None:
    async with serving(create_controller(settings_for(database_url, data_dir, STORAGE_MAX_GB="0.0001"))) as api:
        request_id = await api.initialize("python-x", "result = 1")
        storage = await storage_of(api)
        assert (await api.session(request_id)).status_code == 200
    assert storage["status"] == "degraded"
    assert "cannot be kept" in storage["reason"]


async def test_without_a_budget_the_sizes_are_told(api: Api) -> None:
    storage = await storage_of(api)
    assert (storage["status"], storage["budget_bytes"]) == ("ok", None)
    assert storage["parts_bytes"]["sessions"] > 0
