"""The database server: its version, limits, durability, standbys and backups, and sessions that move to or from it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from domain.inspection import ArchiveFacts, ClockFacts, ReplicationFacts, ServerFacts
from domain.stored_facts import RecordingFacts, TakeoverFacts
from domain.takeover.recording import RECORDINGS_KEPT
from domain.takeover.stages import Stage
from entrypoints.cli.doctor.report import Finding, Subject
from entrypoints.settings.settings import Settings

SERVER, REPLICATION, BACKUPS = Subject("server"), Subject("replication"), Subject("backups")
TAKEOVER = Subject("takeover")
_VERSION_MIN = 150_000
_LOCK_SHARE, _STATEMENT_SHARE, _SOCKET_SHARE = 0.15, 0.25, 0.35
_UNFROZEN_MAX = 1_000_000_000
"""PostgreSQL freezes at 200 million by itself, and refuses writes at two thousand million."""

_BACKUP_AGE_MAX = timedelta(days=7)
_CLEANUP_LATE_MAX = timedelta(hours=1)
_SYNCHRONOUS = frozenset({"sync", "quorum"})
_NO_WRITES = "The server refuses every write. Reads work; initialize and execute get 503."
_MAY_LOSE = "A failover may lose acknowledged sessions, and may run a call with an Idempotency-Key twice."


def judge_server(facts: ServerFacts, settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the server."""
    yield _judge_version(facts)
    if facts.encoding != "UTF8":
        yield SERVER.problem(
            f"the database stores text as {facts.encoding}",
            "This encoding cannot hold every script.",
            "Create a database with ENCODING 'UTF8'.",
        )
    yield _judge_connections(facts, settings)
    yield _judge_timeouts(facts, settings)
    if settings.database_nodes and not (settings.db_server_timeouts or facts.tcp_user_timeout_ms):
        yield _no_limit_for_clients(facts, settings)
    yield from _judge_writes(facts)
    yield from _judge_vacuum(facts)


def _judge_version(facts: ServerFacts) -> Finding:
    if facts.version_number >= _VERSION_MIN:
        return SERVER.ok(f"PostgreSQL {facts.version}, database {facts.database}, role {facts.role}")
    return SERVER.problem(
        f"PostgreSQL {facts.version}",
        f"The service needs PostgreSQL {_VERSION_MIN // 10_000} or newer, and its migrations refuse an older one.",
        "Upgrade the server.",
    )


def _judge_connections(facts: ServerFacts, settings: Settings) -> Finding:
    wanted = settings.database_connections
    limits = {
        "the server's max_connections": facts.connections_max,
        f"the limit of the role {facts.role}": facts.role_connections_max,
        f"the limit of the database {facts.database}": facts.database_connections_max,
    }
    name, limit = min(((name, limit) for name, limit in limits.items() if limit >= 0), key=lambda each: each[1])
    seen = f"DB_POOL_MAX x WEB_CONCURRENCY is {wanted}, and {name} grants {limit}"
    remedy = "Raise that limit, or lower DB_POOL_MAX."
    if wanted > limit:
        return SERVER.problem(seen, "Under load, calls wait for connections that the server never grants.", remedy)
    if wanted + facts.connections > facts.connections_max:
        return SERVER.warning(
            f"{seen}; {facts.connections} connections are open now",
            "Unless these belong to this service, it cannot open all of its connections.",
            f"{remedy} All services on this server share the limit.",
        )
    return SERVER.ok(seen)


def _judge_timeouts(facts: ServerFacts, settings: Settings) -> Finding:
    budget_ms = settings.request_timeout_ms
    limits = {
        "lock_timeout": (facts.lock_timeout_ms, round(budget_ms * _LOCK_SHARE)),
        "statement_timeout": (facts.statement_timeout_ms, round(budget_ms * _STATEMENT_SHARE)),
    }
    socket_ms = round(budget_ms * _SOCKET_SHARE)
    wrong = {name: target for name, (actual, target) in limits.items() if not 0 < actual < socket_ms}
    seen = ", ".join(f"{name} {actual} ms" if actual else f"no {name}" for name, (actual, _) in limits.items())
    if not wrong:
        return SERVER.ok(f"{seen}, below the socket deadline of {socket_ms} ms")
    changes = "; ".join(f"ALTER ROLE {facts.role} SET {name} = '{target}ms'" for name, target in wrong.items())
    otherwise = "" if settings.db_server_timeouts else ", or DB_SERVER_TIMEOUTS=true if there is no PgBouncer"
    return SERVER.warning(
        f"{seen}; the service gives up after {socket_ms} ms",
        "The server continues statements that the service has given up, and their locks delay other calls.",
        f"{changes}{otherwise}.",
    )


def _no_limit_for_clients(facts: ServerFacts, settings: Settings) -> Finding:
    socket_ms = round(settings.request_timeout_ms * _SOCKET_SHARE)
    return SERVER.warning(
        "no tcp_user_timeout, and DB_SERVER_TIMEOUTS=false",
        "A controller that is frozen while it receives a result keeps a bucket from being moved, and a move that waits "
        "for it keeps all other statements of the bucket waiting.",
        f"ALTER ROLE {facts.role} SET tcp_user_timeout = '{socket_ms}ms', at the coordinator.",
    )


def _judge_writes(facts: ServerFacts) -> Iterator[Finding]:
    if facts.is_standby:
        remedy = "Name all hosts in DATABASE_URL (host=a,b). The service then connects to the one that accepts writes."
        yield SERVER.problem("this is a standby", _NO_WRITES, remedy)
    elif facts.is_read_only:
        remedy = f"ALTER ROLE {facts.role} RESET default_transaction_read_only (or reset it for the database)."
        yield SERVER.problem("transactions are read-only by default", _NO_WRITES, remedy)
    is_on = {
        "fsync": facts.has_fsync,
        "full_page_writes": facts.has_full_page_writes,
        "synchronous_commit": facts.synchronous_commit != "off",
    }
    off = [name for name, value in is_on.items() if not value]
    if off:
        yield SERVER.warning(
            f"{', '.join(off)} {'is' if len(off) == 1 else 'are'} off",
            "A crash may lose acknowledged sessions. Without fsync it may destroy the whole database.",
            "Turn it on again, in postgresql.conf or for the role.",
        )


def _judge_vacuum(facts: ServerFacts) -> Iterator[Finding]:
    if not facts.has_autovacuum:
        yield SERVER.warning(
            "autovacuum is off",
            "No dead row is ever removed, so tables grow with every execution.",
            "Turn autovacuum on, in postgresql.conf.",
        )
    if facts.transactions_unfrozen > _UNFROZEN_MAX:
        yield SERVER.warning(
            f"{facts.transactions_unfrozen:,} transactions have not been frozen",
            "At two thousand million the server refuses writes.",
            "VACUUM (FREEZE), and find what stops autovacuum: old transactions, idle replication slots.",
        )


def judge_replication(facts: ReplicationFacts, server: ServerFacts) -> Finding:
    """Return what happens to acknowledged sessions if the server is lost."""
    modes = [standby.mode for standby in facts.standbys]
    names = ", ".join(standby.name or "unnamed" for standby in facts.standbys)
    if not modes:
        return _judge_no_standby(server)
    if None in modes:
        seen = f"there are standbys ({names}), and this role may not see whether they are synchronous"
        return REPLICATION.note(seen, remedy=f"GRANT pg_monitor TO {server.role}")
    if _SYNCHRONOUS.isdisjoint(modes):
        seen = f"every standby is asynchronous ({names})"
        return REPLICATION.warning(seen, _MAY_LOSE, "Name one of them in synchronous_standby_names.")
    if server.synchronous_commit in {"off", "local"}:
        seen = f"synchronous_commit is {server.synchronous_commit}: no write waits for the standby"
        remedy = f"ALTER ROLE {server.role} RESET synchronous_commit (or set it to on)."
        return REPLICATION.warning(seen, _MAY_LOSE, remedy)
    return REPLICATION.ok(f"a synchronous standby has every acknowledged write ({names})")


def _judge_no_standby(server: ServerFacts) -> Finding:
    if not server.waits_for_standbys:
        seen = "no standby: the data is on one disk"
        return REPLICATION.note(seen, remedy="Make backups (`pglambda backup`), or add a synchronous standby.")
    return REPLICATION.warning(
        "the server waits for synchronous standbys, and there is none",
        "Every write waits forever. Calls get 503 at their time limit, and the waiting connections remain open on the "
        "server until reads fail too.",
        "Start a standby again, or empty synchronous_standby_names.",
    )


def judge_archive(facts: ArchiveFacts) -> Finding:
    """Return whether the server archives its WAL."""
    if facts.is_failing:
        return BACKUPS.problem(
            f"the server cannot archive its WAL since {facts.last_failed_at:%Y-%m-%d %H:%M:%S}Z or longer "
            f"({facts.failures:,} failures)",
            "A restore cannot reach any later time, and the WAL that waits fills the disk of the database.",
            "Make room in the archive, and let the server write it. Its log has the reason. If a second copy of "
            "the same DATA_DIR runs, stop it or give it another WAL_ARCHIVE_DIR.",
        )
    if not facts.is_on:
        remedy = "Set WAL_ARCHIVE_DIR, or archive_mode on a server of your own."
        return BACKUPS.note("the WAL is not archived: a restore loses all that is newer than its backup", remedy=remedy)
    if facts.last_archived_at is None:
        return BACKUPS.ok("the server archives its WAL; no segment was due yet")
    return BACKUPS.ok(f"the server archives its WAL, the last time at {facts.last_archived_at:%Y-%m-%d %H:%M:%S}Z")


def judge_backup(last: tuple[datetime, str] | None, clock: ClockFacts) -> Finding:
    """Return when the last backup was made, as the audit record has it: the instant, and the file."""
    if last is None:
        return BACKUPS.note(
            "no backup by `pglambda backup` is recorded",
            remedy="Run it every day, on the embedded server. docs/backup.md has a guide for other servers.",
        )
    at, file = last
    seen = f"the last backup is of {at:%Y-%m-%d %H:%M:%S}Z ({file})"
    if clock.now - at <= _BACKUP_AGE_MAX:
        return BACKUPS.ok(seen)
    return BACKUPS.warning(
        seen,
        f"A restore of it loses all that is newer, unless the WAL is archived. It is older than {_BACKUP_AGE_MAX.days} "
        "days.",
        "pglambda backup FOLDER, every day",
    )


def judge_takeover(facts: TakeoverFacts | None, clock: ClockFacts) -> Iterator[Finding]:
    """Yield a finding if sessions move between two sides, and one if no command moves them any more."""
    if facts is None:
        return
    held = facts.held_until is not None and facts.held_until > clock.now
    if facts.unserved and not held:
        yield TAKEOVER.warning(
            f"{facts.unserved:,} sessions are served by neither side, and no command moves them",
            "Their callers wait, and then get 503.",
            f"pglambda takeover {'back' if facts.stage is Stage.BACK else 'adopt'}",
        )
    else:
        yield TAKEOVER.note(f"a takeover is in the stage {facts.stage} since {facts.stage_at:%Y-%m-%d %H:%M:%S}Z")


def judge_recordings(facts: RecordingFacts | None, clock: ClockFacts) -> Iterator[Finding]:
    """Yield a finding if calls of the origin's clients are recorded: their params and results are payloads."""
    if facts is None:
        return
    if facts.until is not None and facts.until > clock.now:
        yield TAKEOVER.note(f"fronts record calls until {facts.until:%Y-%m-%d %H:%M:%S}Z")
    if facts.oldest_at is None:
        return
    seen = f"{facts.calls:,} recorded calls of clients are stored, the oldest of {facts.oldest_at:%Y-%m-%d %H:%M:%S}Z"
    discard = "pglambda takeover rehearse --discard"
    if clock.now - facts.oldest_at > RECORDINGS_KEPT + _CLEANUP_LATE_MAX:
        late = "Cleanup should have removed them after 24 hours. Payloads of callers stay longer than they may."
        yield TAKEOVER.warning(
            seen, late, f"{discard}. Then find why cleanup does not run: the log has cleanup_failed."
        )
    else:
        yield TAKEOVER.note(
            seen, remedy=f"{discard}, once no rehearsal needs them. Cleanup removes them after 24 hours."
        )
