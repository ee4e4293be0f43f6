"""What is found about the certificates of runtime hosts, by real handshakes."""

import asyncio
import ssl
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.remote_runtime.inspection import with_certificate
from adapters.remote_runtime.verification import Verification
from domain.host_facts import CertificateFacts, RuntimeHostFacts
from entrypoints.composition.runners import HostInspector
from entrypoints.settings.loading import load_settings
from tests.contracts.host_directory import host as registered
from tests.support.certificates import Authority
from tests.support.ports import free_port

NETWORKS = {"RUNTIME_HOST_NETWORKS": "127.0.0.0/8", "DATABASE_URL": "postgresql:///none"}


async def seen(authority: Authority, ca_file, *, name: str = "127.0.0.1", days: float = 1.0) -> RuntimeHostFacts:
    """Return the facts about a host with such a certificate."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.vouch(name, days))

    async def serve(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        return await found(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ca_file)


async def test_the_certificate_of_a_registered_host_is_judged_by_its_name_at_its_address(tmp_path):
    authority = Authority(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.vouch("host.example", 13.5))

    async def serve(reader, writer):
        await reader.read()
        writer.close()

    settings = load_settings({"RUNTIME_CA_FILE": str(authority.file), "RUNTIME_TOKEN": "t", **NETWORKS})
    inspector = HostInspector(settings, ManualClock(datetime.now(UTC)))
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        hosts = [
            registered(name, url=f"{scheme}://{name}:{port}", address=ip_address("127.0.0.1"))
            for scheme, name in (("https", "host.example"), ("https", "other.example"), ("http", "host.example"))
        ]
        named, other, plain = await inspector.certificates(hosts)
    assert named.days == pytest.approx(13.5, abs=0.1)
    assert "mismatch" in other.problem
    assert plain == CertificateFacts()


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
