"""Builds and fetches of packages that are killed: a tree is used whole, or not at all, and the next builder builds it."""

import asyncio
import contextlib
import subprocess
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from attrs import define, field

from adapters.embedded_postgres.programs import find_programs
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.environments import PostgresEnvironmentRepository
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from domain.audit import ActName
from domain.environments.build import LEASE
from domain.environments.environment import StoredEnvironment
from domain.environments.tree import TreeUnavailable
from domain.errors import DomainError
from domain.scripts.language import Language
from tests.contracts.environments import version
from tests.faults.mortal import Death
from tests.faults.mortal_builder import (
    STEPS_OF_BUILD,
    STEPS_OF_FETCH,
    LaterClock,
    builder_of,
    copies_of,
    die,
    files_in,
    files_of,
)
from tests.faults.report import NOTES
from tests.faults.server import SERVICE_ROLE, Server
from tests.support.acts import act
from tests.support.folders import shared_folder

pytestmark = pytest.mark.timeout(180)

NOT_WHOLE = """
SELECT count(*) FROM meta.trees AS t
WHERE t.complete AND t.digest IS DISTINCT FROM (
    SELECT sha256(string_agg(c.content, ''::bytea ORDER BY c.seq)) FROM meta.tree_chunks AS c WHERE c.digest = t.digest
)
"""


@pytest.fixture
def folder():
    with shared_folder() as folder:
        yield folder


@pytest.fixture
async def gateway(url):
    gateway = Gateway(GatewayOptions(url, request_timeout_s=10))
    await gateway.open()
    yield gateway
    await gateway.close()


@pytest.fixture
def repository(gateway):
    return PostgresEnvironmentRepository(gateway, load_statements().environments)


@pytest.fixture
async def other(repository, gateway, folder):
    """A version that was built before, which no fault concerns."""
    await added(repository, 1, "other")
    assert await builder_of(gateway, folder, SystemClock()).build_next(Language.PYTHON)
    return await repository.get("other")


async def added(repository, number, name="data"):
    made = version(number, name=name, owners=None, created_at=SystemClock().now())
    assert await repository.add(made, act(ActName.ENVIRONMENTS_CREATE))


async def built_anew(gateway, folder) -> bool:
    """Return whether another builder builds a version, once the lease of a killed one has ended."""
    clock = LaterClock(LEASE + timedelta(seconds=1))
    return await builder_of(gateway, folder, clock).build_next(Language.PYTHON)


async def is_fetched_whole(gateway, folder: Path, stored: StoredEnvironment) -> bool:
    """Return whether a host that starts now gets the files that were built, and keeps nothing else."""
    copies = copies_of(gateway, folder)
    await copies.open()
    held = await copies.hold(stored.builds[0].digest)
    found = files_in(held.path)
    held.release()
    await copies.close()
    return found == files_of(stored.version) and not list((folder / "trees").glob("*.partial"))


def half_trees(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((count,),) = connection.execute(NOT_WHOLE).fetchall()
    return count


async def test_a_build_that_is_killed_at_a_step_is_built_by_the_next_builder(gateway, repository, folder, other, url):
    for number, step in enumerate(STEPS_OF_BUILD, 1):
        await added(repository, number)
        await asyncio.to_thread(die, step, url, folder)
        stored = await repository.get("data", number)
        expected = {"before claim": ("queued",), "in claim": ("queued", "building"), "after end": ("ready",)}
        assert stored.status in expected.get(step, ("building", "ready") if step == "in end" else ("building",)), step
        assert half_trees(url) == 0, step
        assert await built_anew(gateway, folder) is (stored.status != "ready"), step
        stored = await repository.get("data", number)
        assert stored.status == "ready", step
        assert await is_fetched_whole(gateway, folder, stored), step
        assert not list((folder / "building").iterdir()), step
    assert await is_fetched_whole(gateway, folder, other)
    NOTES.append(f"builds that were killed: {len(STEPS_OF_BUILD)} kills; 0 half trees, each built by the next builder")


async def test_a_host_that_is_killed_at_a_step_of_a_fetch_has_no_half_tree(gateway, folder, other, url):
    for number, step in enumerate(STEPS_OF_FETCH):
        host = folder / f"host{number}"
        host.mkdir()
        await asyncio.to_thread(die, step, url, host, other.builds[0].digest)
        for tree in [each for each in (host / "trees").iterdir() if "." not in each.name]:
            assert files_in(tree) == files_of(other.version), step
        assert await is_fetched_whole(gateway, host, other), step
    NOTES.append(f"fetches of trees that were killed: {len(STEPS_OF_FETCH)} kills; 0 half trees")


@define
class ServerDeath(Death):
    """Kills the database server at a step, and not the process."""

    server: Server = field(kw_only=True)

    def step(self, name):
        if name == self.at and self.server.is_running:
            self.server.kill()


async def test_a_build_during_which_the_database_is_killed_is_built_by_the_next_builder(
    gateway, repository, server, folder, url
):
    await added(repository, 1)
    death = ServerDeath("before chunk", server=server)
    with pytest.raises(DomainError):
        await builder_of(gateway, folder, SystemClock(), death).build_next(Language.PYTHON)
    await asyncio.to_thread(server.start)
    assert (await repository.get("data")).status == "building"
    assert half_trees(url) == 0
    assert await built_anew(gateway, folder)
    assert await is_fetched_whole(gateway, folder, await repository.get("data"))


async def test_a_fetch_during_which_the_database_is_killed_says_so_and_the_next_one_gets_the_tree(
    gateway, server, folder, other
):
    copies = copies_of(gateway, folder, ServerDeath("before read", server=server))
    await copies.open()
    with pytest.raises(DomainError) as failed:
        await copies.hold(other.builds[0].digest)
    await copies.close()
    assert failed.value.code == "STORAGE_UNAVAILABLE"
    assert not list((folder / "trees").iterdir())
    await asyncio.to_thread(server.start)
    assert await is_fetched_whole(gateway, folder, other)


@contextlib.asynccontextmanager
async def connected(url):
    gateway = Gateway(GatewayOptions(url, request_timeout_s=10))
    await gateway.open()
    yield gateway
    await gateway.close()


async def test_a_dump_has_the_packages_and_a_byte_that_changes_in_a_database_is_noticed(
    server, database, folder, other, url
):
    dump, name = folder / "dump", server.create_database(f"restored_{uuid4().hex}")
    programs = find_programs()
    pg_dump = [programs.path("pg_dump"), "--format=custom", f"--file={dump}", "--dbname", server.dsn(database)]
    pg_restore = [programs.path("pg_restore"), "--exit-on-error", "--dbname", server.dsn(name), dump]
    for command in (pg_dump, pg_restore):
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=60)
    hosts = [folder / "before", folder / "after"]
    async with connected(server.dsn(name, SERVICE_ROLE)) as gateway:
        assert await is_fetched_whole(gateway, hosts[0], other)
        with server.admin(name) as admin:
            admin.execute("UPDATE meta.tree_chunks SET content = set_byte(content, 9, 255 - get_byte(content, 9))")
        with pytest.raises(TreeUnavailable, match="what was fetched is not what was built"):
            await is_fetched_whole(gateway, hosts[1], other)
    assert not list((hosts[1] / "trees").iterdir())
    server.drop_database(name)
    async with connected(url) as gateway:
        assert await is_fetched_whole(gateway, hosts[1], other)
