"""A runtime host that has registered itself, and the rules of its name, its URL and its age."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from attrs import asdict, define, evolve, frozen

from domain.addresses import Address
from domain.errors import Conflict, Unavailable

NAME_PATTERN = "^[A-Za-z0-9._:-]{1,128}$"
"""The grammar of names of hosts, in the regular expressions of JSON Schema."""

RELEASE_PATTERN = "^[!-~]{1,64}$"
LANGUAGE_PATTERN = "^[a-z0-9+._-]{1,64}$"
LANGUAGES_MAX = 8
RUNS_MAX = 65_536
HOSTS_MAX = 256
"""Hosts of one installation: each HTTP worker of each controller may connect to all of them."""

REGISTERED_EVERY_S = 5.0
READ_EVERY_S = 2.0
READ_SOONEST_S = 0.1
"""While callers wait for a host, a process reads again after this pause."""

STALE_AFTER = timedelta(seconds=30)
"""A host that has not registered for so long gets no new executions from processes that do not know it."""

KEPT_FOR = timedelta(hours=1)
"""A host that was not seen for so long is removed."""

STALE = "stale"

HELD_FOR = timedelta(seconds=15)
"""A name and a URL stay those of a process for so long after it registered: three registrations may be lost."""


class HostState(StrEnum):
    """What a host says about itself: READY and DRAINING hosts run scripts, and only READY ones start any."""

    READY = "ready"
    DRAINING = "draining"
    ENDED = "ended"


_STATES = tuple(HostState)
"""In the order in which a process passes through them."""


@frozen(kw_only=True)
class Registration:
    """What a host says about itself.

    `boot_id` is that of its process. `runs_max` is how many scripts it runs at once. The languages are texts, because a
    later release may know others.
    """

    name: str
    boot_id: UUID
    url: str
    languages: tuple[str, ...]
    runs_max: int
    release: str
    state: HostState


@frozen(kw_only=True)
class RegisteredHost(Registration):
    """A host as its process has registered first at `registered_at`, and last at `seen_at`.

    `address` is what the name in `url` stood for then, and the only address that is connected to.
    """

    address: Address
    registered_at: datetime
    seen_at: datetime

    @classmethod
    def of(cls, registration: Registration, address: Address, now: datetime) -> "RegisteredHost":
        """Return the host that registers now."""
        return cls(**asdict(registration, recurse=False), address=address, registered_at=now, seen_at=now)

    def is_live(self, now: datetime) -> bool:
        """Return whether the host has neither ended nor been silent for STALE_AFTER."""
        return self.state is not HostState.ENDED and now - self.seen_at < STALE_AFTER

    def starts_scripts(self, now: datetime) -> bool:
        """Return whether the host may get new executions."""
        return self.state is HostState.READY and self.is_live(now)

    def standing(self, now: datetime) -> str:
        """Return the state, or "stale" if the host has not ended and was silent for STALE_AFTER."""
        return str(self.state) if self.is_live(now) or self.state is HostState.ENDED else STALE

    def is_same_process(self, other: "RegisteredHost") -> bool:
        """Return whether both are registrations of one process at one URL."""
        return (self.name, self.boot_id, self.url) == (other.name, other.boot_id, other.url)

    def renewed_by(self, other: "RegisteredHost") -> "RegisteredHost":
        """Return this host as its process registers it again. A state that is over does not come back: it is late."""
        state = max(self.state, other.state, key=_STATES.index)
        return evolve(other, registered_at=self.registered_at, state=state)

    def gives_way_to(self, other: "RegisteredHost") -> bool:
        """Return whether a registration may replace this one, which has its name or its URL.

        A process may change both. Another process at the same URL under the same name is the next one of that host.
        """
        return (
            self.boot_id == other.boot_id
            or (self.name, self.url) == (other.name, other.url)
            or self.state is HostState.ENDED
            or other.seen_at - self.seen_at >= HELD_FOR
        )


def continued(
    known: Iterable[RegisteredHost], stored: Sequence[RegisteredHost], now: datetime
) -> Sequence[RegisteredHost]:
    """Return the stored hosts, and known ones that are live and whose names and URLs no stored host has.

    A host that ends stays stored, so one that is missing is not gone: a failover has emptied the unlogged table.
    """
    taken = {text for host in stored for text in (host.name, host.url)}
    missing = (host for host in known if host.name not in taken and host.url not in taken)
    return [*stored, *(host for host in missing if host.is_live(now))]


@define(eq=False)
class HostConflict(Conflict):
    """Another process, which was seen within HELD_FOR, has the name or the URL."""

    code: ClassVar[str] = "CONFLICT"
    name: str
    url: str

    @property
    def message(self) -> str:
        return (
            f"Another runtime host is registered as {self.name!r} at {self.url}, and was seen within the last "
            f"{HELD_FOR.total_seconds():g} s, so this one was not registered. Give each host a RUNTIME_HOST_NAME and a "
            "RUNTIME_HOST_URL of its own."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"name": self.name, "url": self.url}


@define(eq=False)
class TooManyHosts(Unavailable):
    """As many hosts are live as may be."""

    code: ClassVar[str] = "OVERLOADED"
    stored: str | None = "no"
    retry_after_ms: int | None = int(REGISTERED_EVERY_S * 1000)

    @property
    def message(self) -> str:
        return (
            f"{HOSTS_MAX} runtime hosts are registered, which is the limit, so this one was not. End another one; it "
            f"makes way at once, or {STALE_AFTER.total_seconds():g} s after it was seen last."
        )
