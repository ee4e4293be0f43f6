"""The numbers that bound a change of the schema."""

from attrs import frozen


@frozen
class MigrationOptions:
    """Times of one step in seconds.

    The socket deadline ends a step on a silent server. A step that waits for a lock gives up sooner than requests do
    that wait behind it, and is tried again. Now and then it waits for longer than a second: so long it takes the server
    to find out that a vacuum of its own is in the way, and to end that (`deadlock_timeout`).
    """

    connect_timeout_s: float = 5.0
    lock_timeout_s: float = 0.2
    lock_timeout_long_s: float = 1.5
    long_every: int = 5
    statement_timeout_s: float = 300.0
    socket_timeout_s: float = 310.0
    attempts_max: int = 70
    pause_s: float = 1.0

    def lock_timeout_of(self, attempt: int) -> float:
        """Return how long this attempt, counted from 1, waits for a lock."""
        return self.lock_timeout_s if attempt % self.long_every else self.lock_timeout_long_s
