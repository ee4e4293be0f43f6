"""The directory of runtime hosts in PostgreSQL."""

from collections.abc import Sequence
from ipaddress import ip_address

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import RuntimeHostStatements
from domain.errors import Overloaded
from domain.hosts.host import HELD_FOR, HOSTS_MAX, STALE_AFTER, HostConflict, HostState, RegisteredHost, TooManyHosts
from domain.hosts.ports import HostDirectory

_ATTEMPTS_MAX = 3
"""Each but the first follows another registration of the name or the URL, which then holds it."""


@define(eq=False)
class PostgresHostDirectory(HostDirectory):
    """Stores hosts in `meta.runtime_hosts`."""

    _gateway: Gateway
    _statements: RuntimeHostStatements
    _hosts_max: int = HOSTS_MAX

    @override
    async def register(self, host: RegisteredHost) -> None:
        parameters = {
            "name": host.name,
            "boot_id": host.boot_id,
            "url": host.url,
            "address": str(host.address),
            "languages": codec.texts(host.languages),
            "runs_max": host.runs_max,
            "release": host.release,
            "state": host.state,
            "now": host.seen_at,
            "held_since": host.seen_at - HELD_FOR,
            "stale_since": host.seen_at - STALE_AFTER,
            "hosts_max": self._hosts_max,
        }
        for _ in range(_ATTEMPTS_MAX):
            rows = await self._gateway.fetch(self._statements.register_runtime_host, parameters)
            ((is_stored, is_full, holder_name, holder_url),) = rows
            if holder_name is not None:
                raise HostConflict(holder_name, holder_url)
            if is_stored:
                return
            if is_full:
                raise TooManyHosts
        raise Overloaded("the registration of runtime hosts")

    @override
    async def hosts(self) -> Sequence[RegisteredHost]:
        return [host_of(row) for row in await self._gateway.fetch(self._statements.select_runtime_hosts, {})]


def host_of(row: codec.Row) -> RegisteredHost:
    """Return the host in a row."""
    name, boot_id, url, address, languages, runs_max, release, state, registered_at, seen_at = row
    return RegisteredHost(
        name=name,
        boot_id=boot_id,
        url=url,
        address=ip_address(address),
        languages=tuple(languages),
        runs_max=runs_max,
        release=release,
        state=HostState(state),
        registered_at=registered_at,
        seen_at=seen_at,
    )
