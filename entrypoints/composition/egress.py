"""How scripts of this host's sandbox are connected, as the settings allow it."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, field

from adapters.egress.client import EgressClient
from adapters.egress.control import Configure
from adapters.egress.guarded_names import GuardedNames
from adapters.egress.launch import EgressSandbox
from adapters.postgres.connections.addresses import endpoints_of
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.network import Networks
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.clock import Clock
from domain.egress.endpoints import Endpoints, NamedEndpoint, ServiceEndpoints
from domain.egress.known_rules import KnownOwnerRules
from domain.egress.ports import OwnerRules
from domain.egress.stats import EgressStats
from domain.grants.ceilings import EgressCeilings
from entrypoints.settings.egress import (
    address_rules,
    egress_rules,
    guarded_endpoints,
    has_egress,
    has_owner_rules,
    host_ceilings,
)
from entrypoints.settings.settings import Settings

_MIB = 1024 * 1024


def egress_ceilings(
    settings: Settings,
    clock: Clock,
    rules: OwnerRules,
    named: GuardedNames,
    known: Endpoints,
) -> EgressCeilings:
    """Return what owners may reach. `known` returns the runtime hosts that are registered now."""
    owners = KnownOwnerRules(clock, rules) if has_owner_rules(settings) else None
    return EgressCeilings(egress_rules(settings), owners, ServiceEndpoints(named.endpoints, known))


def guarded_names(settings: Settings) -> GuardedNames:
    """Return what settings name that belongs to the service; nothing if scripts may reach no host."""
    return GuardedNames(_guarded(settings) if has_egress(settings) else ())


def _guarded(settings: Settings) -> Sequence[NamedEndpoint]:
    """Return what settings name that belongs to the service."""
    urls = [url.reveal() for url in (settings.database_url, settings.takeover_source_url) if url is not None]
    return [*guarded_endpoints(settings), *(endpoint for url in urls for endpoint in endpoints_of(url))]


def egress_client(settings: Settings, sandbox: SandboxScriptRunner) -> EgressClient:
    """Return what connects the scripts of this sandbox. Its process starts with the first of them."""
    rules = address_rules(settings)
    configuration = Configure(
        connections_max=settings.max_egress_connections,
        bytes_max=settings.max_egress_mb * _MIB,
        connect_timeout_s=settings.egress_connect_timeout_ms / 1000,
        allowed=[str(network) for network in rules.allowed],
        denied=[str(network) for network in rules.denied],
        own_ports=sorted(rules.own_ports),
        guarded=list(_guarded(settings)),
        filter=egress_filter(),
    )
    builder = sandbox.builder
    return EgressClient(configuration, EgressSandbox(builder.bwrap, egress_uid(builder), sandbox.admit))


def egress_uid(builder: SandboxBuilder) -> int | None:
    """Return the uid of the egress process beside the workers of a sandbox; None stands for that of the service."""
    return None if builder.uid is None else builder.uid + 1


def networks_of(settings: Settings, sandbox: SandboxScriptRunner, client: EgressClient) -> Networks:
    """Return how this sandbox starts workers with a network; raises OSError. It may copy a file."""
    roots = roots_of(settings)
    found = None if roots is None else sandbox.builder.reachable(roots)
    return Networks(client, found, settings.max_egress_connections, host_ceilings(settings))


def roots_of(settings: Settings) -> Path | None:
    """Return the file of the certificates that scripts trust; None if the host has none."""
    return settings.egress_ca_file or roots_of_host()


@define(eq=False)
class HostEgress:
    """What connects the scripts of a runtime host; nothing if they may reach no host."""

    _settings: Settings
    _sandbox: SandboxScriptRunner
    _client: EgressClient | None = field(default=None, init=False)

    async def open(self) -> None:
        """Let the sandbox start workers with a network. Call it before the sandbox is opened."""
        if has_egress(self._settings):
            self._client = egress_client(self._settings, self._sandbox)
            self._sandbox.networks = await asyncio.to_thread(networks_of, self._settings, self._sandbox, self._client)

    def stats(self) -> EgressStats:
        """Return the numbers of the connections."""
        return EgressStats() if self._client is None else self._client.stats

    async def health(self) -> Mapping[str, object]:
        """Return the state of the process that connects scripts, as that of a controller."""
        return {"status": "ok", "process": "off"} if self._client is None else await self._client.health()

    async def close(self) -> None:
        """End every connection."""
        if self._client is not None:
            await self._client.close()


def roots_of_host() -> Path | None:
    """Return the file of the certificates that this host trusts, if there is one."""
    file = ssl.get_default_verify_paths().cafile
    candidates = [Path(file)] if file else []
    candidates += [Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt")]
    return next((each for each in candidates if each.is_file()), None)
