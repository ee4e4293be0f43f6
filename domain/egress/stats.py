"""The present figures of egress, for metrics."""

from collections import Counter

from attrs import define, field

from domain.egress.traffic import ExecutionTraffic, RefusalReason


@define(eq=False)
class EgressStats:
    """Counts since the start of the service."""

    connections: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    refusals: Counter[RefusalReason] = field(factory=Counter)
    lost: int = 0
    """Executions whose traffic is unknown, because the egress process ended."""
    starts: int = 0
    """Of the egress process."""

    def count(self, traffic: ExecutionTraffic) -> None:
        """Add what an execution used."""
        self.connections += traffic.connections
        self.sent_bytes += traffic.sent_bytes
        self.received_bytes += traffic.received_bytes
        self.refusals.update(refusal.reason for refusal in traffic.refusals)
        self.lost += traffic.is_lost
