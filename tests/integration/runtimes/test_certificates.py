"""What is found about the certificates of runtime hosts, by real handshakes."""

import asyncio
import ssl
from datetime import UTC, datetime

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.remote_runtime.inspection import with_certificate
from adapters.remote_runtime.verification import Verification
from domain.host_facts import RuntimeHostFacts
from tests.support.certificates import Authority
from tests.support.ports import free_port


async def seen(authority: Authority, ca_file, *, name: str = "127.0.0.1", days: float = 1.0) -> RuntimeHostFacts:
    """Return the facts about a host with such a certificate."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.vouch(name, days))

    async def serve(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        return await found(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ca_file)


async def found(url: str, ca_file=None) -> RuntimeHostFacts:
    host = RuntimeHostFacts(url, "ok", ["python"])
    return await with_certificate(host, Verification(ca_file), ManualClock(datetime.now(UTC)))


async def test_the_days_until_a_certificate_ends_are_those_of_its_date(tmp_path):
    authority = Authority(tmp_path)
    host = await seen(authority, authority.file, days=13.5)
    assert host.certificate_days == pytest.approx(13.5, abs=0.1)
    assert not host.certificate_problem


@pytest.mark.parametrize(
    ("given", "problem"),
    [({"days": -0.5}, "expired"), ({"name": "other.example"}, "mismatch"), ({"ca_file": None}, "issuer")],
    ids=["expired", "another name", "an unknown authority"],
)
async def test_a_certificate_that_is_refused_is_named_with_the_reason(tmp_path, given, problem):
    authority = Authority(tmp_path)
    host = await seen(authority, **{"ca_file": authority.file, **given})
    assert problem in host.certificate_problem
    assert host.certificate_days is None


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_of_a_host_without_tls_or_that_is_away_nothing_is_said(scheme):
    host = await found(f"{scheme}://127.0.0.1:{free_port()}")
    assert (host.certificate_problem, host.certificate_days) == ("", None)
