"""The directory of runtime hosts in PostgreSQL: transactions that hold rows, and cleanup."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.runtime_hosts import PostgresHostDirectory
from adapters.postgres.statements.catalogue import Statements
from domain.hosts.host import HELD_FOR, KEPT_FOR, HostConflict
from domain.hosts.ports import HostDirectory
from tests.contracts.host_directory import FULL_AT, NOW, HostDirectoryContract, host
from tests.integration.postgres.conftest import cleanup_on


@pytest.fixture
def directory(gateway: Gateway, statements: Statements) -> PostgresHostDirectory:
    return PostgresHostDirectory(gateway, statements.runtime_hosts, FULL_AT)


class TestPostgresHostDirectory(HostDirectoryContract):
    @pytest.fixture
    def directory(self, directory: HostDirectory) -> HostDirectory:
        return directory


async def test_a_host_that_registers_while_its_name_is_being_taken_keeps_it(directory, database_url):
    await directory.register(host())
    async with await psycopg.AsyncConnection.connect(database_url) as renewing:
        await renewing.execute("UPDATE meta.runtime_hosts SET seen_at = %s", [NOW + HELD_FOR])
        taking = asyncio.create_task(directory.register(host(boot=2, at=NOW + HELD_FOR, url="http://10.0.0.9:1")))
        await asyncio.wait([taking], timeout=0.1)
        await renewing.commit()
        with pytest.raises(HostConflict):
            await taking
    assert [each.boot_id for each in await directory.hosts()] == [host().boot_id]


async def test_cleanup_removes_hosts_that_were_not_seen_for_long(directory, gateway, statements, storage):
    now = storage.clock.now()
    await directory.register(host("a", 1, at=now - KEPT_FOR))
    await directory.register(host("b", 2, at=now - KEPT_FOR + timedelta(seconds=1)))
    await cleanup_on(gateway, statements, storage).run_once()
    assert [each.name for each in await directory.hosts()] == ["b"]
