"""The metrics of several processes in one response."""

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from entrypoints.telemetry.metrics.instruments import Histograms, counter, gauge, histogram
from entrypoints.telemetry.metrics.scrape import MetricsServer, Scrape, ScrapeLimits, metrics_registry
from entrypoints.telemetry.siblings import Siblings

SEEN = counter("seen_total", "Seen.")
REQUESTS = counter("requests_total", "Requests.", "route")
LAG = gauge("lag_seconds", "Lag.")
UP = "pglambda_process_up"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
HOSTILE = '/a"\n\\\n# HELP lag_seconds Forged.'


class Fixed(Collector):
    def __init__(self, *metrics):
        self.metrics = metrics

    def collect(self):
        return self.metrics


def seen(value):
    return metrics_registry(Fixed(SEEN.single(value)))


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="pgl-") as folder:
        yield folder


async def turns():
    """Let closed connections end."""
    for _ in range(4):
        await asyncio.sleep(0)


@pytest.fixture
async def sibling(folder):
    server = MetricsServer(Siblings(folder, "1", ("0", "1")), seen(5))
    await server.open()
    yield server
    await turns()
    await server.close()


async def samples(folder, names=("0", "1"), **limits):
    """Return what a scrape of process 0, whose value is 3, finds: values by name and process."""
    siblings = Siblings(folder, "0", names) if folder else None
    exposition = await Scrape(seen(3), siblings, ScrapeLimits(**limits)).exposition("")
    return {
        (sample.name, sample.labels["process"]): sample.value
        for family in parse_text(exposition.body.decode())
        for sample in family.samples
    }


async def test_a_process_without_siblings_returns_its_own_metrics():
    assert await samples(None) == {("seen_total", "0"): 3, (UP, "0"): 1}


async def test_any_process_returns_the_metrics_of_all(folder, sibling):
    assert await samples(folder) == {("seen_total", "0"): 3, ("seen_total", "1"): 5, (UP, "0"): 1, (UP, "1"): 1}


@pytest.mark.parametrize(
    ("accept", "media_type", "parse", "end"),
    [
        ("", "text/plain; version=0.0.4", parse_text, b""),
        ("text/html", "text/plain; version=0.0.4", parse_text, b""),
        ("text/plain;version=1.0.0", "text/plain; version=1.0.0", parse_text, b""),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0", parse_openmetrics, b"# EOF\n"),
    ],
)
async def test_the_text_of_several_processes_reads_back_with_the_process_of_each_sample(
    folder, accept, media_type, parse, end
):
    took = Histograms(histogram("took_seconds", "Took.", "route", bounds=(0.5, 1.0)))
    for value in (0.25, 0.75, 1.0, 1.5):
        took.add(value, "/a")
    first = metrics_registry(Fixed(REQUESTS.metric([((HOSTILE,), 3)])), took, Fixed(LAG.single(None)))
    second = metrics_registry(Fixed(LAG.single(7), REQUESTS.metric([(("/b",), 4)])))
    server = MetricsServer(Siblings(folder, "1", ("0", "1")), second)
    await server.open()
    exposition = await Scrape(first, Siblings(folder, "0", ("0", "1"))).exposition(accept)
    await turns()
    await server.close()
    assert exposition.content_type.startswith(media_type)
    assert exposition.body.endswith(b'process="1"} 1.0\n' + end)
    families = [each for each in parse(exposition.body.decode()) if each.name != UP]
    assert [(each.name, each.type, each.documentation) for each in families] == [
        ("requests", "counter", "Requests."),
        ("took_seconds", "histogram", "Took."),
        ("lag_seconds", "gauge", "Lag."),
    ]
    of_first = ("process", "0")
    assert {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    } == {
        ("requests_total", of_first, ("route", HOSTILE)): 3,
        ("requests_total", ("process", "1"), ("route", "/b")): 4,
        ("took_seconds_bucket", ("le", "0.5"), of_first, ("route", "/a")): 1,
        ("took_seconds_bucket", ("le", "1.0"), of_first, ("route", "/a")): 3,
        ("took_seconds_bucket", ("le", "+Inf"), of_first, ("route", "/a")): 4,
        ("took_seconds_count", of_first, ("route", "/a")): 4,
        ("took_seconds_sum", of_first, ("route", "/a")): 3.5,
        ("lag_seconds", ("process", "1")): 7,
    }


async def test_a_missing_sibling_is_down_and_costs_no_other_samples(folder, sibling):
    found = await samples(folder, ("0", "1", "2"))
    assert found[(UP, "2")] == 0
    assert (found[("seen_total", "0")], found[("seen_total", "1")]) == (3, 5)
    assert ("seen_total", "2") not in found


@pytest.mark.parametrize("reply", [b"", b"rubbish", b"\xc0", b"# HELP a A.\n# TYPE a gauge\na 1.0\n"])
async def test_a_sibling_with_an_incomplete_reply_is_down(folder, reply):
    async def talk(reader, writer):
        await reader.readline()
        writer.write(reply)
        writer.close()

    async with await asyncio.start_unix_server(talk, Siblings(folder, "1", ()).path("1")):
        assert await samples(folder) == {("seen_total", "0"): 3, (UP, "0"): 1, (UP, "1"): 0}


async def test_a_silent_or_endless_sibling_is_down_within_the_timeout(folder):
    gone = []

    async def be_silent(reader, writer):
        await reader.readline()
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
        found = await samples(folder, siblings.names, timeout_s=0.05, bytes_max=1_000_000)
        assert (found[(UP, "1")], found[(UP, "2")]) == (0, 0)
        while len(gone) < 2:  # noqa: ASYNC110  # both see their caller leave
            await asyncio.sleep(0.001)


async def test_a_caller_that_sends_no_request_is_dropped_after_the_timeout(folder):
    server = MetricsServer(Siblings(folder, "1", ("0", "1")), metrics_registry(), ScrapeLimits(timeout_s=0.01))
    await server.open()
    reader, writer = await asyncio.open_unix_connection(server.siblings.path("1"))
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await turns()
    await server.close()


async def test_a_process_replaces_the_socket_of_one_that_was_killed(folder):
    siblings = Siblings(folder, "1", ("0", "1"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(siblings.path("1"))
    assert (await samples(folder))[(UP, "1")] == 0
    fresh = MetricsServer(siblings, seen(2))
    await fresh.open()
    assert (await samples(folder))[("seen_total", "1")] == 2
    await turns()
    await fresh.close()


def test_sockets_stay_within_the_folder():
    assert Path(Siblings("/run/x", "0", ("0",)).path("runtime-host")) == Path("/run/x/metrics-runtime-host")
