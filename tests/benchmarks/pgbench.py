"""pgbench on the service's own statements, prepared, with one call in each."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.postgres.codec import partition_of
from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.catalogue import load_statements
from domain.identity import uuid7_at
from tests.benchmarks.database import Database, program
from tests.benchmarks.machine import pinned
from tests.benchmarks.measurement import Measurement, quantile_ms
from tests.benchmarks.names import BEGIN_AND_FINISH, GET, INITIALIZE, PATCH, PGBENCH, UPDATE
from tests.benchmarks.process_table import processor_s
from tests.benchmarks.sessions import CONTEXT, LIFETIME_S, SCRIPT, SessionSet

_STARTED_TIMEOUT_S = 60.0
_NULL = "'{NULL}'"


def scripts(sessions: SessionSet) -> Mapping[str, str]:
    """Return what pgbench is to run, by operation; `:n` is a session's number."""
    statements = load_statements()
    now = datetime.now(UTC)
    values = _values(sessions, now)
    chosen = f"\\set n random(0, {sessions.count - 1})\n"
    begin = _filled(statements.executions.begin_executions, values)
    finish = _filled(statements.executions.finish_executions, values)
    return {
        GET: chosen + _filled(statements.sessions.select_sessions, values),
        PATCH: chosen + _filled(statements.sessions.update_sessions, values),
        UPDATE: chosen + _update(sessions, now),
        BEGIN_AND_FINISH: f"{chosen}\\set e random(0, 281474976710655)\n{begin}{finish}",
        INITIALIZE: "\\set e random(0, 281474976710655)\n"
        + _filled(statements.sessions.insert_sessions, values | {"request_ids": _braced(_execution_id(sessions))}),
    }


def run(
    database: Database, case: tuple[str, str], *, clients: int, sessions: SessionSet, core: int, seconds: int
) -> Measurement:
    """Run one script (its operation and text) with so many clients in one thread."""
    operation, script = case
    with tempfile.TemporaryDirectory(prefix="pgl-pgbench-") as name:
        folder = Path(name)
        (folder / "script.sql").write_text(script, encoding="utf-8")
        before_s = processor_s(database.pid)
        text = _pgbench(database, folder, clients, core, seconds)
        database_s = processor_s(database.pid) - before_s
        lines = "".join(path.read_text(encoding="utf-8") for path in folder.glob("log.*")).splitlines()
    latencies_s = [int(line.split()[2]) / 1e6 for line in lines]
    return Measurement(
        system=PGBENCH,
        operation=operation,
        connections=clients,
        sessions=sessions.count,
        rate=_rate(text),
        p50_ms=quantile_ms(latencies_s, 0.5),
        p99_ms=quantile_ms(latencies_s, 0.99),
        database_us=database_s / max(1, len(latencies_s)) * 1e6,
        errors=_failed(text),
    )


def _pgbench(database: Database, folder: Path, clients: int, core: int, seconds: int) -> str:
    options = ("-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds), "-l")
    with pinned(core):
        ended = subprocess.run(
            [program("pgbench"), *options, "--log-prefix", str(folder / "log"), "-f", str(folder / "script.sql")],
            env=dict(os.environ) | database.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds + _STARTED_TIMEOUT_S,
        )
    if ended.returncode != 0:
        raise RuntimeError(f"pgbench failed: {ended.stderr[-2000:]}")
    return ended.stdout


def _rate(text: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith("tps ="))
    return float(line.split()[2])


def _failed(text: str) -> int:
    found = [line.split()[4] for line in text.splitlines() if line.startswith("number of failed transactions:")]
    return int(found[0]) if found else 0


def _filled(statement: Statement, values: Mapping[str, str]) -> str:
    """Return the statement in one line, with an expression for each of its parameters."""
    text = " ".join(line for line in statement.sql.splitlines() if not line.lstrip().startswith("--"))
    text = text.strip().removesuffix(";") % {name: f"({value})" for name, value in values.items()}
    return f"{text};\n"


def _values(sessions: SessionSet, now: datetime) -> dict[str, str]:
    later = now + timedelta(seconds=LIFETIME_S)
    session_id = f"'{sessions.prefix}' || lpad(to_hex(:n::bigint), 12, '0')"
    version = f"SELECT v.version FROM meta.sessions AS v WHERE v.request_id = ({session_id})::uuid"
    payload = dict.fromkeys(("errors", "stdouts", "stderrs"), _NULL)
    return {
        "request_ids": _braced(session_id),
        "owners": "'{anonymous}'",
        "waits": "false",
        "execution_ids": _braced(_execution_id(sessions)),
        "partitions": f"'{{{partition_of(uuid7_at(now, 0))}}}'",
        "started_ats": _instant(now),
        "finished_ats": _instant(now),
        "allowances": "'{\"64500000 us\"}'",
        "outcomes": "'{succeeded}'",
        "execution_times_ms": "'{1.25}'",
        "cpu_times_ms": "'{0.5}'",
        "memory_usages_bytes": "'{9000000}'",
        "cold_starts": "'{f}'",
        "params": _text('{"a": 5, "b": 3}'),
        "params_lengths": "'{16}'",
        "results": "'{8}'",
        "results_lengths": "'{1}'",
        **payload,
        **{f"{name}_lengths": _NULL for name in payload},
        "versions_read": _braced(f"({version})"),
        "versions": _braced(f"(({version}) + 1)"),
        "script_hashes": f"'{{{'0' * 64}}}'",
        "scripts": _text(SCRIPT),
        "renewals": "'{fixed}'",
        "ttls_seconds": f"'{{{LIFETIME_S}}}'",
        "expiries": _instant(later),
        "expiries_max": _instant(later),
        "closings": _NULL,
        "contexts": _text(CONTEXT),
        "metadatas": "'{\"{}\"}'",
        "languages": "'{nodejs}'",
        "titles": "'{calculator}'",
        "timeouts_ms": "'{5000}'",
        "memories_mb": "'{128}'",
        "isolations": "'{session}'",
        "function_versions": _NULL,
        "function_ids": _NULL,
    }


def _update(sessions: SessionSet, now: datetime) -> str:
    """Return the least that counts an execution: one row, by its key."""
    return (
        f"UPDATE meta.sessions SET execution_count = execution_count + 1, last_executed_at = '{now.isoformat()}' "
        f"WHERE request_id = ('{sessions.prefix}' || lpad(to_hex(:n::bigint), 12, '0'))::uuid;\n"
    )


def _execution_id(sessions: SessionSet) -> str:
    """Return a new id of the same day: the time of the sessions' ids, and `:e` of 48 bits."""
    return f"'{sessions.prefix[:-5]}8001-' || lpad(to_hex(:e::bigint), 12, '0')"


def _braced(expression: str) -> str:
    return f"'{{' || {expression} || '}}'"


def _instant(at: datetime) -> str:
    return f"'{{\"{at.isoformat()}\"}}'"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    return f"'{{\"{escaped}\"}}'"
