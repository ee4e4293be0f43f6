"""The way to the database: the connection, a pooler, the two clocks."""

from collections.abc import Iterator

from domain.inspection import ClockFacts, ConnectionFacts, DatabaseUnreachable, Obstacle
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.settings import Settings

DATABASE, CLOCK = Subject("database"), Subject("clock")
_NOT_STARTED = "The service does not start with such an address."
_UNREACHABLE = "Without its database the service responds to every call with 503 STORAGE_UNAVAILABLE."
_REMEDIES = {
    Obstacle.ADDRESS: "Correct DATABASE_URL: postgresql://user:password@host:5432/database.",
    Obstacle.NAME: "Correct the host in DATABASE_URL, or the name resolution of this machine.",
    Obstacle.NETWORK: (
        "Start the server, and let it listen at this address (listen_addresses, port). Let firewalls and security "
        "groups pass this machine. Or correct host and port in DATABASE_URL."
    ),
    Obstacle.SILENCE: (
        "Something accepted the connection and sent nothing. Check that it is PostgreSQL, that the server is not "
        "frozen "
        "or out of disk space, and that a load balancer on the way has a server behind it."
    ),
    Obstacle.TLS: (
        "Set sslmode in DATABASE_URL to a mode that the server offers (require, or verify-full with sslrootcert). Or "
        "give the server a certificate that these settings accept."
    ),
    Obstacle.LOGIN: (
        "Correct user and password in DATABASE_URL (or in the file of DATABASE_URL_FILE), create the role, or let "
        "pg_hba.conf of the server accept it from this machine."
    ),
    Obstacle.DATABASE: (
        "Create the database (createdb ... with ENCODING 'UTF8'), or correct its name in DATABASE_URL."
    ),
    Obstacle.FULL: (
        "Raise max_connections of the server or the limit of the role, or lower DB_POOL_MAX and WEB_CONCURRENCY."
    ),
    Obstacle.OPTIONS: (
        "A pooler on the way accepts no start-up options. Set DB_SERVER_TIMEOUTS=false, and set the limits on the role."
    ),
    Obstacle.STARTING: "Wait until the server has started. If it does not start, read its log.",
    Obstacle.REFUSED: "The message is the server's own. Look it up in the server's log too.",
}

_ERROR_BOUND_MS_MAX = 500
_OFFSET_MS_NOTED = 500
_OFFSET_MS_MAX = 60_000
_CORRECTION_MS_MAX = 1000
_ROUND_TRIP_SHARE_MAX = 0.05


def judge_unreachable(failure: DatabaseUnreachable) -> Finding:
    """Return why there is no connection, and what to do."""
    why = _NOT_STARTED if failure.obstacle is Obstacle.ADDRESS else _UNREACHABLE
    return DATABASE.problem(f"no connection ({failure.obstacle}): {failure}", why, _REMEDIES[failure.obstacle])


def judge_connection(facts: ConnectionFacts, settings: Settings) -> Iterator[Finding]:
    """Yield the findings about a connection: encryption, and a pooler."""
    yield DATABASE.ok(f"connected to {facts.host}, {'encrypted' if facts.is_encrypted else 'not encrypted'}")
    if not (facts.is_encrypted or facts.is_local):
        yield DATABASE.warning(
            f"the connection to {facts.host} is not encrypted",
            "Scripts, contexts, results and perhaps the password can be read on the network.",
            "Add sslmode=verify-full (and sslrootcert) to DATABASE_URL.",
        )
    if facts.is_pooled:
        yield _judge_pooler(facts, settings)


def _judge_pooler(facts: ConnectionFacts, settings: Settings) -> Finding:
    seen = "a pooler is between the service and PostgreSQL"
    if not settings.db_prepare:
        return DATABASE.note(f"{seen}; the service prepares no statements (DB_PREPARE=false)")
    if facts.keeps_prepared:
        return DATABASE.ok(f"{seen}, and keeps prepared statements")
    return DATABASE.warning(
        f"{seen}, and does not seem to keep prepared statements; DB_PREPARE needs them",
        "In transaction mode a statement that is prepared on one server connection is missing on the next.",
        "Set max_prepared_statements above 0 in PgBouncer (1.22 or newer), or set DB_PREPARE=false here. With session "
        "pooling there is nothing to do.",
    )


def judge_clock(facts: ClockFacts, settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the database's clock, this host's clock, and the round trip."""
    if facts.error_bound_ms > _ERROR_BOUND_MS_MAX:
        yield CLOCK.problem(
            f"the database's time is known to {facts.error_bound_ms:.0f} ms only",
            f"Above {_ERROR_BOUND_MS_MAX} ms a controller is not ready: controllers would disagree on what has "
            "expired.",
            "Move the service closer to its database, or find what delays the responses.",
        )
    yield _judge_offset(facts)
    if abs(facts.correction_ms) >= 1:
        yield _judge_correction(facts)
    yield _judge_round_trip(facts, settings)


def _judge_offset(facts: ClockFacts) -> Finding:
    ahead = "ahead of" if facts.offset_ms >= 0 else "behind"
    seen = (
        f"the database's clock is {abs(facts.offset_ms):.1f} ms {ahead} this host's, known to "
        f"{facts.error_bound_ms:.1f} ms"
    )
    why = "Only the database's clock decides about sessions, but times in this host's logs are wrong by this much."
    remedy = "Let both hosts take their time from the network (chrony, systemd-timesyncd)."
    if abs(facts.offset_ms) > _OFFSET_MS_MAX:
        return CLOCK.warning(seen, f"{why} Tokens of other issuers seem expired or not yet valid.", remedy)
    if abs(facts.offset_ms) > _OFFSET_MS_NOTED:
        return CLOCK.note(seen, why, remedy)
    return CLOCK.ok(seen)


def _judge_correction(facts: ClockFacts) -> Finding:
    side = "ahead of" if facts.correction_ms > 0 else "behind"
    seen = f"the service's time is {abs(facts.correction_ms) / 1000:.3f} s {side} the clock of this server"
    why = "At a failover its clock differed from the last server's, and the time went on. This fades by 1.8 s an hour."
    remedy = "Let all servers of the database take their time from the network; slew their clocks, do not step them."
    return CLOCK.warning(seen, why, remedy) if abs(facts.correction_ms) > _CORRECTION_MS_MAX else CLOCK.note(seen, why)


def _judge_round_trip(facts: ClockFacts, settings: Settings) -> Finding:
    if facts.round_trip_ms / settings.request_timeout_ms <= _ROUND_TRIP_SHARE_MAX:
        return CLOCK.ok(f"a round trip to the database takes {facts.round_trip_ms:.2f} ms")
    return CLOCK.warning(
        f"a round trip to the database takes {facts.round_trip_ms:.0f} ms",
        f"REQUEST_TIMEOUT_MS is {settings.request_timeout_ms}, and one execute needs at least two round trips.",
        "Move the service closer to its database, or raise REQUEST_TIMEOUT_MS.",
    )
