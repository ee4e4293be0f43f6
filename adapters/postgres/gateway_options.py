"""Limits of the gateway."""

import math
from collections.abc import Mapping

from attrs import field, frozen, validators
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_CONNECT_TIMEOUT_MIN_S = 1.0
_CONNECT_TIMEOUT_MAX_S = 5.0

APPLICATION = "pglambda"
"""The name by which a server shows a process that looks for all sessions in `meta`."""

APPLICATION_OF_NODES = "pglambda/nodes"
"""The name of a process that finds sessions in buckets."""

_positive = validators.gt(0.0)
_at_least_one = validators.ge(1)


class WrongAddress(ValueError):
    """The text is no address of a database. The error does not quote it, because it may contain a password."""


def _a_dsn(_options: object, _attribute: object, dsn: str) -> None:
    try:
        conninfo_to_dict(dsn)
    except ProgrammingError:
        # The driver's error quotes the part that it cannot parse, which may be the password.
        raise WrongAddress("the address of the database is neither a PostgreSQL URL nor a list of key=value") from None


def to_primary(dsn: str) -> str:
    """Return the DSN for the host that accepts writes, unless the DSN itself says otherwise."""
    given = conninfo_to_dict(dsn)
    several = any("," in str(given.get(name, "")) for name in ("host", "hostaddr"))
    if not several or "target_session_attrs" in given:
        return dsn
    return make_conninfo(dsn, target_session_attrs="read-write")


_PLANS = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"
"""Each statement gets one plan, by index, for all values and all sizes of tables.

Without it, small first batches make custom plans look cheaper than the generic plan, and the server plans every batch
anew. A plan for empty tables scans them, and stays until the server has counted the rows: a read among 100,000 rows
took 6.5 ms instead of 0.1 ms.
"""


@frozen
class GatewayOptions:
    """The address of the database, and a limit on every wait; the time limits follow from `request_timeout_s`.

    Without `server_timeouts` the role or database sets the lock and statement timeouts (PgBouncer refuses start-up
    options). Without `prepares` no statement is prepared. A DSN with an application name of its own keeps it.
    """

    dsn: str = field(repr=False, validator=_a_dsn)
    pool_size_max: int = field(default=8, validator=_at_least_one)
    lock_wait_pool_size_max: int = field(default=2, validator=_at_least_one)
    pool_queue_max: int = field(default=1024, validator=_at_least_one)
    request_timeout_s: float = field(default=2.0, validator=_positive)
    attempts_max: int = field(default=5, validator=_at_least_one)
    prepares: bool = True
    server_timeouts: bool = True
    slow_statement_s: float = field(default=0.05, validator=_positive)
    application: str = APPLICATION
    holds_buckets: bool = False
    """Whether statements run behind the hold of a bucket, which nothing can move while a client takes no result."""

    log_facts: Mapping[str, object] = field(factory=dict, hash=False)
    """What each log line about a statement says in addition: its bucket, or its node."""

    @property
    def lock_timeout_s(self) -> float:
        """The server's limit on a wait for one lock."""
        return self.request_timeout_s * 0.15

    @property
    def poll_pause_s(self) -> float:
        """The pause between polls of a row whose lock could not be acquired by waiting."""
        return self.lock_timeout_s / 6

    @property
    def statement_timeout_s(self) -> float:
        """The server's limit on a statement."""
        return self.request_timeout_s * 0.25

    @property
    def pool_timeout_s(self) -> float:
        """The limit on a wait for a connection."""
        return self.request_timeout_s * 0.25

    @property
    def socket_timeout_s(self) -> float:
        """The limit on a statement if the server does not respond."""
        return self.request_timeout_s * 0.35

    @property
    def connect_timeout_s(self) -> float:
        """The limit on connecting to one address; a call waits for a connection for a shorter time."""
        return min(max(self.request_timeout_s * 0.75, _CONNECT_TIMEOUT_MIN_S), _CONNECT_TIMEOUT_MAX_S)

    @property
    def conninfo(self) -> str:
        """The DSN with the settings of every connection of the service."""
        given = conninfo_to_dict(self.dsn)
        settings: dict[str, str | int | None] = {
            "client_encoding": "UTF8",
            "connect_timeout": math.ceil(self.connect_timeout_s),
            "fallback_application_name": self.application,
        }
        if self.server_timeouts:
            settings["options"] = f"{given.get('options', '')} {self._server_options}".strip()
        return make_conninfo(to_primary(self.dsn), **settings)

    @property
    def _server_options(self) -> str:
        lock_ms, statement_ms = round(self.lock_timeout_s * 1000), round(self.statement_timeout_s * 1000)
        timeouts = f"-c lock_timeout={max(1, lock_ms)} -c statement_timeout={max(1, statement_ms)}"
        return f"-c TimeZone=UTC {timeouts} {_PLANS}{self._client_limits if self.holds_buckets else ''}"

    @property
    def _client_limits(self) -> str:
        """The server's limits on a client that stops in a transaction: before its next message, or within a result.

        After the socket timeout the client has given up, if it lives. The statement timeout ends neither.
        """
        socket_ms = max(1, round(self.socket_timeout_s * 1000))
        return f" -c transaction_timeout={socket_ms} -c tcp_user_timeout={socket_ms}"
