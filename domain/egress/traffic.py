"""What the connections of an execution used, and which of them were refused."""

from collections.abc import Mapping
from enum import StrEnum

from attrs import frozen

REFUSALS_MAX = 32
"""Refusals of an execution that are reported one by one; further ones are counted."""


class RefusalReason(StrEnum):
    """Why a connection was refused or ended early. The value is the text that callers read."""

    NOT_ALLOWED = "not in network.allow"
    NOT_TLS = "the connection does not begin with TLS, or names no host in it; for other protocols add /tcp to the rule"
    OTHER_HOST = "the host in the TLS handshake (SNI) is not the name of the rule"
    HIDDEN_HOST = "the TLS handshake hides a host name (ECH)"
    NO_HELLO = "no TLS handshake began within 2 s"
    UNRESOLVED = "the name cannot be resolved"
    GUARDS_UNKNOWN = "the addresses of this service cannot be resolved, so nothing can be told from them"
    DNS_TIMEOUT = "the name was not resolved within 2 s"
    ADDRESS = "not all addresses of the name may be reached"
    UNREACHABLE = "the host cannot be reached"
    CONNECT_TIMEOUT = "the host did not accept the connection within EGRESS_CONNECT_TIMEOUT_MS"
    NO_CONNECT = "the connection to the proxy does not begin with CONNECT and the name of a host"
    AT_ONCE = "MAX_EGRESS_CONNECTIONS at once were open"
    TOO_MANY = "the execution had as many connections as one may have in all"
    TOO_MANY_HOSTS = "the execution named as many hosts of its patterns as one may name"
    TOO_MUCH = "MAX_EGRESS_MB were sent or received"
    IDLE = "nothing was sent or received for 30 s"
    BUSY = "the egress process has as many connections as it may have"


@frozen
class HostTraffic:
    """What the connections to one host and port used. `refused` of them reached nothing."""

    host: str
    port: int
    connections: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    refused: int = 0

    def facts(self) -> Mapping[str, object]:
        """Return it as JSON values."""
        return {
            "host": self.host,
            "port": self.port,
            "connections": self.connections,
            "sent_bytes": self.sent_bytes,
            "received_bytes": self.received_bytes,
            "refused": self.refused,
        }


@frozen
class Refusal:
    """A connection that was refused, or ended before its peers ended it."""

    host: str
    port: int
    reason: RefusalReason

    def facts(self) -> Mapping[str, object]:
        """Return it as JSON values."""
        return {"host": self.host, "port": self.port, "why": self.reason.value}

    def __str__(self) -> str:
        return f"{self.host}:{self.port}: {self.reason.value}"


@frozen
class ExecutionTraffic:
    """What an execution used of its network. With `is_lost` the egress process has ended, and knows no more."""

    hosts: tuple[HostTraffic, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    is_lost: bool = False

    @property
    def connections(self) -> int:
        """Connections to all hosts."""
        return sum(host.connections for host in self.hosts)

    @property
    def sent_bytes(self) -> int:
        """Bytes that were sent to all hosts."""
        return sum(host.sent_bytes for host in self.hosts)

    @property
    def received_bytes(self) -> int:
        """Bytes that were received from all hosts."""
        return sum(host.received_bytes for host in self.hosts)

    @property
    def last_refusal(self) -> Refusal | None:
        """The last of the refusals that are reported."""
        return self.refusals[-1] if self.refusals else None


LOST = ExecutionTraffic(is_lost=True)
