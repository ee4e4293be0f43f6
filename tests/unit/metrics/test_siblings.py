"""Processes that tell each other their figures."""

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from entrypoints.telemetry.metrics.multiprocess import MetricsServer, ScrapeLimits, Siblings, ask
from entrypoints.telemetry.metrics.registry import Registry
from entrypoints.telemetry.metrics.samples import counter, single
from entrypoints.telemetry.metrics.scrape import Scrape

SEEN = counter("seen_total", "Seen.")


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="pgl-") as folder:
        yield folder


async def turns():
    """Let connections that were closed go."""
    for _ in range(4):
        await asyncio.sleep(0)


def registry(value):
    return Registry(lambda: [single(SEEN, value)])


@pytest.fixture
async def sibling(folder):
    server = MetricsServer(Siblings(folder, "1", ("0", "1")), registry(5))
    await server.open()
    yield server
    await turns()
    await server.close()


async def figures(scrape):
    exposition = await scrape.exposition("")
    return {
        (sample.name, sample.labels["process"]): sample.value
        for family in parse(exposition.body.decode())
        for sample in family.samples
    }


async def test_a_process_alone_tells_its_own_figures():
    assert await figures(Scrape(registry(3))) == {("seen_total", "0"): 3, ("pglambda_process_up", "0"): 1}


async def test_any_process_tells_the_figures_of_all(folder, sibling):
    scrape = Scrape(registry(3), Siblings(folder, "0", ("0", "1")))
    assert await figures(scrape) == {
        ("seen_total", "0"): 3,
        ("seen_total", "1"): 5,
        ("pglambda_process_up", "0"): 1,
        ("pglambda_process_up", "1"): 1,
    }


async def test_a_sibling_that_is_missing_is_told_and_costs_nobody_else(folder, sibling):
    scrape = Scrape(registry(3), Siblings(folder, "0", ("0", "1", "2")))
    told = await figures(scrape)
    assert told[("pglambda_process_up", "2")] == 0
    assert (told[("seen_total", "0")], told[("seen_total", "1")]) == (3, 5)
    assert ("seen_total", "2") not in told


@pytest.mark.parametrize("answer", [b"", b"rubbish", b"\xc0"])
async def test_a_sibling_that_talks_rubbish_is_missing(folder, answer):
    async def talk(_reader, writer):
        writer.write(answer)
        writer.close()

    siblings = Siblings(folder, "0", ("0", "1"))
    async with await asyncio.start_unix_server(talk, siblings.path("1")):
        assert await ask(siblings) == {"1": None}


async def test_a_sibling_that_keeps_silent_or_never_ends_is_missing_in_time(folder):
    gone = []

    async def be_silent(reader, writer):
        gone.append(await reader.read())
        writer.close()

    async def babble(reader, writer):
        with contextlib.suppress(OSError):
            while True:
                writer.write(bytes(65536))
                await writer.drain()
        gone.append(b"")
        writer.close()

    siblings = Siblings(folder, "0", ("0", "1", "2"))
    async with (
        asyncio.timeout(5),
        await asyncio.start_unix_server(be_silent, siblings.path("1")),
        await asyncio.start_unix_server(babble, siblings.path("2")),
    ):
        assert await ask(siblings, ScrapeLimits(timeout_s=0.05, bytes_max=1_000_000)) == {"1": None, "2": None}
        while len(gone) < 2:  # noqa: ASYNC110  # both see their caller leave
            await asyncio.sleep(0.001)


async def test_a_process_takes_the_place_of_one_that_was_killed(folder):
    siblings = Siblings(folder, "1", ("0", "1"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(siblings.path("1"))
    assert await ask(Siblings(folder, "0", siblings.names)) == {"1": None}
    fresh = MetricsServer(siblings, registry(2))
    await fresh.open()
    assert await ask(Siblings(folder, "0", siblings.names)) == {"1": [single(SEEN, 2)]}
    await turns()
    await fresh.close()


def test_sockets_stay_within_the_folder():
    assert Path(Siblings("/run/x", "0", ("0",)).path("runtime-host")) == Path("/run/x/figures-runtime-host")
