"""The controller as people start it, killed in the middle of its work."""

import asyncio
import contextlib
import os
import signal

import httpx2
import pytest

from tests.faults import trial
from tests.faults.server import SERVICE_ROLE
from tests.faults.trial import USUAL, Trial
from tests.programs.supervisor.conftest import Service, gone, wait_until

pytestmark = pytest.mark.timeout(120)

START_S = 6.0
"""What starting a program may take on a busy machine, beside the recovery proper; callers that connect meanwhile wait."""
STARTING = {"recovery_s": START_S + trial.RECOVERY_S, "slack_s": START_S + trial.SLACK_S}
MAYBE = USUAL | {"STORAGE_UNAVAILABLE", "SHUTTING_DOWN"}


@pytest.fixture
def served(server, database, proxy, data_dir):
    """Start the command on one port, again and again; its database is behind the proxy."""
    started = []

    def begin():
        url = server.dsn(database, SERVICE_ROLE, proxy.port)
        port = str(started[0].port) if started else ""
        settings = {"DATABASE_URL": url, "LOG_LEVEL": "error", "LOG_FORMAT": "json", "MAX_WARM_WORKERS": "32"}
        service = Service(data_dir, program=("entrypoints", "serve"), **settings, **({"PORT": port} if port else {}))
        started.append(service)
        return service

    yield begin
    for service in started:
        service.end()


@contextlib.asynccontextmanager
async def calling(service):
    await asyncio.to_thread(wait_until, lambda: service.status("/readyz") == 200)
    async with httpx2.AsyncClient(
        base_url=service.url, timeout=None, limits=httpx2.Limits(max_connections=64)
    ) as client:
        yield client


async def test_a_controller_that_is_killed_and_started_again(served, stored):
    service = served()

    @contextlib.asynccontextmanager
    async def fault():
        family = service.family()
        service.send_signal(signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: gone(family), 5)
        yield
        served()

    async with calling(service) as client:
        name = "controller killed and started again"
        await Trial(name, clients=16, lasting_s=1.0, errors=MAYBE, settles=False, **STARTING).run(client, fault, stored)


async def test_an_http_worker_that_is_killed(served, stored):
    service = served()

    @contextlib.asynccontextmanager
    async def fault():
        os.kill(service.child("server.child"), signal.SIGKILL)
        yield

    async with calling(service) as client:
        name = "HTTP worker killed"
        await Trial(name, clients=16, lasting_s=0.0, errors=MAYBE, settles=False, **STARTING).run(client, fault, stored)
