"""Limits of migrations."""

from attrs import frozen


@frozen
class MigrationOptions:
    """Times of one step in seconds.

    The socket deadline ends a step if the server does not respond. A step gives up its wait for a lock sooner than the
    requests that wait behind it, and is retried. Every few attempts it waits for longer than a second: after that time
    (`deadlock_timeout`) the server ends an autovacuum that holds the lock. A statement outside of a transaction, such
    as CREATE INDEX CONCURRENTLY, has the times of a build.
    """

    connect_timeout_s: float = 5.0
    lock_timeout_s: float = 0.2
    lock_timeout_long_s: float = 1.5
    long_every: int = 5
    statement_timeout_s: float = 300.0
    socket_timeout_s: float = 310.0
    build_timeout_s: float = 3600.0
    build_socket_timeout_s: float = 3610.0
    attempts_max: int = 70
    pause_s: float = 1.0

    def lock_timeout_of(self, attempt: int) -> float:
        """Return how long this attempt, counted from 1, waits for a lock."""
        return self.lock_timeout_s if attempt % self.long_every else self.lock_timeout_long_s
