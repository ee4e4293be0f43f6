"""How scripts of this host's sandbox are connected, as the settings allow it."""

import ssl
from pathlib import Path

from adapters.egress.client import EgressClient
from adapters.egress.control import Configure
from adapters.egress.launch import EgressSandbox
from adapters.postgres.connections.addresses import endpoints_of
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.network import Networks
from adapters.sandbox.runner import SandboxScriptRunner
from entrypoints.settings.egress import address_rules, egress_rules, guarded_endpoints
from entrypoints.settings.settings import Settings

_MIB = 1024 * 1024


def has_egress(settings: Settings) -> bool:
    """Return whether scripts may reach any host."""
    return bool(egress_rules(settings))


def egress_client(settings: Settings, sandbox: SandboxScriptRunner) -> EgressClient:
    """Return what connects the scripts of this sandbox. Its process starts with the first of them."""
    rules = address_rules(settings)
    database = () if settings.database_url is None else endpoints_of(settings.database_url.reveal())
    configuration = Configure(
        connections_max=settings.max_egress_connections,
        bytes_max=settings.max_egress_mb * _MIB,
        connect_timeout_s=settings.egress_connect_timeout_ms / 1000,
        allowed=[str(network) for network in rules.allowed],
        denied=[str(network) for network in rules.denied],
        own_ports=sorted(rules.own_ports),
        guarded=[*guarded_endpoints(settings), *database],
        filter=egress_filter(),
    )
    builder = sandbox.builder
    uid = None if builder.uid is None else builder.uid + 1
    return EgressClient(configuration, EgressSandbox(builder.bwrap, uid, sandbox.admit))


def networks_of(settings: Settings, sandbox: SandboxScriptRunner, client: EgressClient) -> Networks:
    """Return how this sandbox starts workers with a network; raises OSError. It may copy a file."""
    roots = settings.egress_ca_file or _roots_of_host()
    connections_max = settings.max_egress_connections
    return Networks(client, None if roots is None else sandbox.builder.reachable(roots), connections_max)


def _roots_of_host() -> Path | None:
    file = ssl.get_default_verify_paths().cafile
    candidates = [Path(file)] if file else []
    candidates += [Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt")]
    return next((each for each in candidates if each.is_file()), None)
