"""Runtime hosts that register themselves; without RUNTIME_HOST_NETWORKS there are none."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import field, frozen

from adapters.public_addresses import SystemResolver
from domain.clock import Clock
from domain.egress.endpoints import NamedEndpoint
from domain.hosts.ports import HostDirectory
from domain.hosts.service import HostRegistry, HostWatch
from entrypoints.composition.runners import Runners
from entrypoints.http.endpoints.health import Probe
from entrypoints.http.endpoints.runtime_hosts import RuntimeHostHealth
from entrypoints.server.lifespan import Step
from entrypoints.settings.runtime_hosts import host_networks
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.runtime_hosts import RuntimeHostMetrics


@frozen
class RegisteredHosts:
    """The registry, with the steps of a process that reads it and runs scripts on its hosts."""

    metrics: RuntimeHostMetrics
    registry: HostRegistry | None = None
    startup: Sequence[Step] = ()
    background: Sequence[Step] = ()
    close: Sequence[Step] = ()
    probes: Mapping[str, Probe] = field(factory=dict)
    endpoints: Callable[[], Sequence[NamedEndpoint]] = tuple
    """The address and the port of each registered host, as this process knows them."""

    @classmethod
    def of(cls, settings: Settings, directory: HostDirectory, clock: Clock, runners: Runners) -> "RegisteredHosts":
        """Return what the settings ask for."""
        networks = host_networks(settings)
        if not networks.networks or runners.remote is None:
            return cls(RuntimeHostMetrics(None))
        resolver = SystemResolver()
        watch = HostWatch(clock, directory, networks, runners.remote)
        return cls(
            RuntimeHostMetrics(watch),
            HostRegistry(clock, directory, networks, resolver),
            startup=[watch.read],
            background=[watch.run],
            close=[_closing(resolver)],
            probes={"runtime_hosts": RuntimeHostHealth(watch).probe},
            endpoints=watch.endpoints,
        )


def _closing(resolver: SystemResolver) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        resolver.close()

    return close
