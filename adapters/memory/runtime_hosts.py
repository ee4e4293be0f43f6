"""The directory of runtime hosts in memory."""

from collections.abc import Sequence

from attrs import define, field
from typing_extensions import override

from domain.hosts.host import HOSTS_MAX, HostConflict, RegisteredHost, TooManyHosts
from domain.hosts.ports import HostDirectory


@define
class MemoryHostDirectory(HostDirectory):
    """Keeps hosts by name; while `failure` is set, every call raises it."""

    hosts_max: int = HOSTS_MAX
    rows: dict[str, RegisteredHost] = field(factory=dict)
    failure: Exception | None = None

    @override
    async def register(self, host: RegisteredHost) -> None:
        self._require_available()
        known = self.rows.get(host.name)
        if known is not None and known.is_same_process(host):
            self.rows[host.name] = known.renewed_by(host)
        else:
            self._replace(host)

    @override
    async def hosts(self) -> Sequence[RegisteredHost]:
        self._require_available()
        return [self.rows[name] for name in sorted(self.rows)]

    def _replace(self, host: RegisteredHost) -> None:
        taken = [each for each in self.rows.values() if each.name == host.name or each.url == host.url]
        for each in sorted(taken, key=lambda held: held.name):
            if not each.gives_way_to(host):
                raise HostConflict(each.name, each.url)
        others = [each for each in self.rows.values() if each not in taken]
        dead = sorted((each for each in others if not each.is_live(host.seen_at)), key=lambda other: other.seen_at)
        if len(others) - len(dead) >= self.hosts_max:
            raise TooManyHosts
        gone = dead[:1] if len(others) >= self.hosts_max else []
        for each in (*taken, *gone):
            del self.rows[each.name]
        self.rows[host.name] = host

    def _require_available(self) -> None:
        if self.failure is not None:
            raise self.failure
