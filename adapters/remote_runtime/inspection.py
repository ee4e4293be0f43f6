"""Facts about runtime hosts for an operator."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.remote_runtime.verification import Verification
from domain.addresses import Address
from domain.clock import Clock
from domain.host_facts import CertificateFacts, RuntimeHostFacts

_HANDSHAKE_S = 2.0
_DAY_S = 86_400
_HTTPS_PORT = 443


async def inspect_runtime_hosts(
    runner: HttpScriptRunner, verification: Verification, clock: Clock
) -> Sequence[RuntimeHostFacts]:
    """Open the runner, read the health of each of its hosts, and close it; then look at their certificates."""
    await runner.open()
    try:
        health: Mapping[str, Any] = await runner.health()
    finally:
        await runner.close()
    hosts = _host_facts(health["languages"])
    return await asyncio.gather(*(with_certificate(host, verification, clock) for host in hosts))


async def with_certificate(host: RuntimeHostFacts, verification: Verification, clock: Clock) -> RuntimeHostFacts:
    """Return the facts with those about its certificate, if the host is reached by TLS."""
    seen = await certificate_facts(host.url, verification, clock)
    return evolve(host, certificate_problem=seen.problem, certificate_days=seen.days)


async def certificate_facts(
    url: str, verification: Verification, clock: Clock, address: Address | None = None
) -> CertificateFacts:
    """Look at the certificate of a host. With an address, that is connected to, and the name is for the certificate."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return CertificateFacts()
    name, port = parts.hostname or "", parts.port or _HTTPS_PORT
    host = name if address is None else str(address)
    try:
        context = await verification.context()
        async with asyncio.timeout(_HANDSHAKE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        return CertificateFacts(error.verify_message)
    except OSError:  # its health has the reason; TimeoutError is one
        return CertificateFacts()
    ends_s = ssl.cert_time_to_seconds(writer.get_extra_info("peercert")["notAfter"])
    writer.transport.abort()
    return CertificateFacts(days=(ends_s - clock.now().timestamp()) / _DAY_S)


def _host_facts(languages: Mapping[str, Any]) -> Sequence[RuntimeHostFacts]:
    by_url: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for language, state in languages.items():
        for host in state["hosts"]:
            by_url.setdefault(host["url"], (host, []))[1].append(language)
    return [
        RuntimeHostFacts(
            url=url,
            status=str(host["status"]),
            languages=served,
            reason=str(host.get("reason") or ""),
            version=str(host.get("version") or ""),
        )
        for url, (host, served) in by_url.items()
    ]
