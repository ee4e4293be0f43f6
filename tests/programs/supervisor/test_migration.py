"""The migration of another server's database: before anything reads it, but nothing waits for it without end."""

import asyncio
from pathlib import Path

import pytest

from entrypoints.server.migration import DatabaseMigration
from entrypoints.settings.loading import load_settings
from tests.programs.supervisor import minimal
from tests.programs.supervisor.conftest import TIMEOUT_S, processes
from tests.support.waiting import until


def migration(target: str, folder: Path, **options: float) -> DatabaseMigration:
    settings = load_settings({"DATA_DIR": str(folder), "DATABASE_URL": "postgresql:///nothing"})
    return DatabaseMigration(f"{minimal.HERE}:{target}", settings, **options)


async def test_a_start_waits_for_a_migration_only_for_its_time_and_ends_it_with_the_service(tmp_path):
    hanging = migration("hang", tmp_path, first_timeout_s=0.01)
    await hanging.begin()
    late = asyncio.create_task(hanging.complete())
    await until((tmp_path / "hangs").exists, TIMEOUT_S)
    await until((tmp_path / "hangs").read_text, TIMEOUT_S)
    pid = int((tmp_path / "hangs").read_text())
    assert not late.done()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    await until(lambda: pid not in processes(), TIMEOUT_S)


async def test_a_migration_that_fails_is_repeated_until_it_succeeds(tmp_path):
    failing = migration("refuse_once", tmp_path)
    await failing.begin()
    assert (tmp_path / "refused").exists(), "the start has waited for the first attempt"
    await failing.complete()
    assert await failing.run() == 0
