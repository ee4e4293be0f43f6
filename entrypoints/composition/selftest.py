"""The self-test of a host."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from adapters.egress.client import EgressClient
from adapters.egress.control import Configure
from adapters.egress.launch import EgressSandbox
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.network import Networks
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.selftest.corpus import categories, load_attacks
from adapters.sandbox.selftest.results import Trial
from adapters.sandbox.selftest.trial_hosts import NETWORK, TrialHosts
from adapters.sandbox.selftest.trials import SelfTest
from domain.scripts.language import Language
from entrypoints.composition.egress import egress_uid
from entrypoints.composition.host_options import sandbox_options
from entrypoints.settings.choices import EgressChoice
from entrypoints.settings.settings import Settings

__all__ = ["SelfTest", "Trial", "categories"]

_BYTES_MAX = 16 << 20


def self_test(settings: Settings, languages: Sequence[Language], only: Sequence[str] = ()) -> SelfTest:
    """Return the attacks in these languages and categories on a sandbox with the service's options.

    With EGRESS=off no script has a network, so attacks that need one are left out.
    """
    attacks = load_attacks(languages, only)
    if settings.egress is EgressChoice.OFF:
        attacks = [attack for attack in attacks if not attack.network]
    return SelfTest(sandbox_options(settings, tuple(languages)), attacks, connected_to)


@asynccontextmanager
async def connected_to(runner: SandboxScriptRunner, hosts: TrialHosts) -> AsyncIterator[Networks]:
    """Connect the scripts of a runner to the hosts of a trial, by an egress process like that of the service."""
    configuration = Configure(
        connections_max=16,
        bytes_max=_BYTES_MAX,
        connect_timeout_s=1.0,
        allowed=[NETWORK],
        denied=[],
        own_ports=[hosts.own_port],
        guarded=[hosts.guarded],
        filter=egress_filter(),
    )
    builder = runner.builder
    client = EgressClient(configuration, EgressSandbox(builder.bwrap, egress_uid(builder), runner.admit, hosts.names))
    try:
        yield Networks(client)
    finally:
        await client.close()
