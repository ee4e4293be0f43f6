"""The server: its age, its room for connections, its time limits, what it promises of a write."""

from collections.abc import Iterator

from domain.inspection import ServerFacts
from entrypoints.cli.diagnosis.finding import Finding, ok, problem, warning
from entrypoints.settings.settings import Settings

SUBJECT = "server"
_VERSION_MIN = 150_000
_LOCK_SHARE, _STATEMENT_SHARE, _SOCKET_SHARE = 0.15, 0.25, 0.35
_UNFROZEN_MAX = 1_000_000_000
"""PostgreSQL freezes at 200 million by itself, and stops at two thousand."""


def judge_server(facts: ServerFacts, settings: Settings) -> list[Finding]:
    """Return what is to be said of the server."""
    return [
        *_version(facts),
        *_connections(facts, settings),
        *_timeouts(facts, settings),
        *_writing(facts),
        *_durability(facts),
        *_vacuum(facts),
    ]


def _version(facts: ServerFacts) -> Iterator[Finding]:
    if facts.version_number < _VERSION_MIN:
        yield problem(
            SUBJECT,
            f"PostgreSQL {facts.version}",
            f"The statements need PostgreSQL {_VERSION_MIN // 10_000}, and migrations refuse an older one.",
            "Upgrade the server.",
        )
    else:
        yield ok(SUBJECT, f"PostgreSQL {facts.version}, database {facts.database}, role {facts.role}")
    if facts.encoding != "UTF8":
        yield problem(
            SUBJECT,
            f"the database keeps text as {facts.encoding}",
            "It cannot hold every script.",
            "Make a database with ENCODING 'UTF8'.",
        )


def _connections(facts: ServerFacts, settings: Settings) -> Iterator[Finding]:
    wanted = settings.database_connections
    grants = {
        "the server's max_connections": facts.connections_max,
        f"the limit of the role {facts.role}": facts.role_connections_max,
        f"the limit of the database {facts.database}": facts.database_connections_max,
    }
    whose, granted = min(((name, limit) for name, limit in grants.items() if limit >= 0), key=lambda grant: grant[1])
    seen = f"DB_POOL_MAX x WEB_CONCURRENCY is {wanted}, and {whose} grants {granted}"
    remedy = "Raise that limit, or lower DB_POOL_MAX."
    if wanted > granted:
        yield problem(SUBJECT, seen, "Under load calls wait in vain for connections that nobody gets.", remedy)
    elif wanted + facts.connections > facts.connections_max:
        yield warning(
            SUBJECT,
            f"{seen}; {facts.connections} connections are open now",
            "Unless those are this service's own, there is no room for all that it may open.",
            f"{remedy} Several services on one server share it.",
        )
    else:
        yield ok(SUBJECT, seen)


def _timeouts(facts: ServerFacts, settings: Settings) -> Iterator[Finding]:
    budget_ms = settings.request_timeout_ms
    wanted = {
        "lock_timeout": (facts.lock_timeout_ms, round(budget_ms * _LOCK_SHARE)),
        "statement_timeout": (facts.statement_timeout_ms, round(budget_ms * _STATEMENT_SHARE)),
    }
    socket_ms = round(budget_ms * _SOCKET_SHARE)
    wrong = {name: limits for name, limits in wanted.items() if not 0 < limits[0] < socket_ms}
    told = ", ".join(f"{name} {actual} ms" if actual else f"no {name}" for name, (actual, _) in wanted.items())
    if not wrong:
        yield ok(SUBJECT, f"{told}, below the socket deadline of {socket_ms} ms")
        return
    changes = "; ".join(f"ALTER ROLE {facts.role} SET {name} = '{target}ms'" for name, (_, target) in wrong.items())
    yield warning(
        SUBJECT,
        f"{told}; the service gives up after {socket_ms} ms",
        "The server goes on with what nobody waits for, and locks that it holds then delay others.",
        changes
        + (", or DB_SERVER_TIMEOUTS=true where there is no PgBouncer." if not settings.db_server_timeouts else "."),
    )


def _writing(facts: ServerFacts) -> Iterator[Finding]:
    if facts.is_standby:
        yield problem(
            SUBJECT,
            "this is a standby",
            "Every write is refused: reads work, initialize and execute answer 503.",
            "Name all hosts in DATABASE_URL (host=a,b): the service then looks for the one that takes writes.",
        )
    elif facts.is_read_only:
        yield problem(
            SUBJECT,
            "transactions are read-only by default",
            "Every write is refused: reads work, initialize and execute answer 503.",
            f"ALTER ROLE {facts.role} RESET default_transaction_read_only (or of the database).",
        )


def _durability(facts: ServerFacts) -> Iterator[Finding]:
    off = [
        name
        for name, is_on in {
            "fsync": facts.has_fsync,
            "full_page_writes": facts.has_full_page_writes,
            "synchronous_commit": facts.synchronous_commit != "off",
        }.items()
        if not is_on
    ]
    if off:
        yield warning(
            SUBJECT,
            f"{', '.join(off)} {'is' if len(off) == 1 else 'are'} off",
            "After a crash sessions that were acknowledged may be gone; without fsync the whole database may be.",
            "Turn it on again, in postgresql.conf or on the role.",
        )


def _vacuum(facts: ServerFacts) -> Iterator[Finding]:
    if not facts.has_autovacuum:
        yield warning(
            SUBJECT,
            "autovacuum is off",
            "Rows that were rewritten are never cleared away: tables grow with every execution.",
            "Turn autovacuum on, in postgresql.conf.",
        )
    if facts.transactions_unfrozen > _UNFROZEN_MAX:
        yield warning(
            SUBJECT,
            f"{facts.transactions_unfrozen:,} transactions have not been frozen",
            "At two thousand million the server takes no more writes.",
            "VACUUM (FREEZE), and see what keeps autovacuum from it: old transactions, idle slots.",
        )
