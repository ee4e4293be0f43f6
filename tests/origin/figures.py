"""The figures of `takeover copy` and `takeover verify`: `python -m tests.origin.figures --help`.

Two servers of PostgreSQL run on this machine, with the same settings. The commands run as an operator runs them, and in
turns with what they are compared with: a table that is copied by `COPY .. TO` piped into `COPY .. FROM`, and the two
scans of digests without a comparison.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg
from attrs import frozen

from adapters.embedded_postgres.programs import PostgresPrograms
from adapters.origin.rows import DIGEST_BYTES_MAX
from adapters.origin.statements import load_origin_statements
from adapters.postgres.statements.catalogue import load_statements
from tests.faults.server import running_server
from tests.origin.databases import origin_database, programs_in

ROOT = Path(__file__).parents[2]
PLANTED = 1000
_FILL = """
INSERT INTO meta.sessions (
    request_id, language_title, created_at, expires_at, last_executed_at, execution_count, context, script_content
)
SELECT
    gen_random_uuid()::text, (ARRAY['nodejs-adder', 'python-text'])[1 + n %% 2], now() - n %% 3000 * interval '1 s',
    now() + interval '12 hours' + n * interval '1 millisecond', now(), n %% 100,
    jsonb_build_object('n', n, 'words', (SELECT string_agg(md5(n::text || i), ' ') FROM generate_series(1, 16) AS i)),
    (SELECT string_agg('x = "' || md5(n::text || 's' || i) || '"', E'\\n') FROM generate_series(1, 34) AS i)
FROM generate_series(%(first)s::integer, %(last)s::integer) AS n
"""
_FILLED_AT_ONCE = 100_000
_SERVER = ("fsync=on", "shared_buffers=1GB", "max_wal_size=4GB", "checkpoint_timeout=30min")
_BASE = """
CREATE SCHEMA figures;
CREATE TABLE figures.sessions (
    request_id varchar(128) PRIMARY KEY, language_title varchar(128) NOT NULL, user_id varchar(128),
    created_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, last_executed_at timestamptz,
    execution_count integer NOT NULL, status varchar(32) NOT NULL, context jsonb, script_content text,
    script_hash varchar(64), compiled_artifact bytea, compile_options jsonb, compile_status varchar(32),
    compile_error text, metadata jsonb
);
CREATE INDEX ON figures.sessions (expires_at);
CREATE INDEX ON figures.sessions (language_title);
CREATE INDEX ON figures.sessions (user_id);
"""
_FLIPS_THERE = (
    "SET script_content = overlay(script_content PLACING '~' FROM %s FOR 1)",
    "SET context = jsonb_set(context, '{{n}}', to_jsonb((context ->> 'n')::bigint # 1)) WHERE %s > 0",
    "SET expires_at = expires_at + interval '1 microsecond' WHERE %s > 0",
    "SET created_at = created_at - interval '1 microsecond' WHERE %s > 0",
    "SET last_executed_at = last_executed_at + interval '1 microsecond' WHERE %s > 0",
    "SET execution_count = execution_count # 1 WHERE %s > 0",
)
_FLIPS_HERE = (
    "SET script = overlay(script PLACING '~' FROM %s FOR 1)",
    "SET context = overlay(context PLACING '~' FROM %s FOR 1)",
    "SET last_executed_at = last_executed_at + interval '1 microsecond' WHERE %s > 0",
    "SET expires_max_at = expires_max_at + interval '1 microsecond' WHERE %s > 0",
    "SET ttl_seconds = ttl_seconds # 1 WHERE %s > 0",
    "SET leftovers = overlay(leftovers PLACING '~' FROM 3 FOR 1) WHERE %s > 0",
)


@frozen
class Sides:
    """The databases, by their addresses."""

    origin: str
    here: str

    def command(self, *arguments: str) -> "Measured":
        """Run a command of the takeover to its end."""
        environment = {**os.environ, "DATABASE_URL": self.here, "TAKEOVER_SOURCE_URL": self.origin}
        return measured([sys.executable, "-m", "entrypoints", "takeover", *arguments], environment)


@frozen
class Measured:
    """What a process took, and what it wrote."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    output: str
    status: int


def measured(argv: Sequence[str], environment: Mapping[str, str]) -> Measured:
    began_s = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode not in {0, 1}:
            raise RuntimeError(errors.read())
        cpu_s, rss_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        return Measured(wall_s, cpu_s, rss_mb, output.read(), process.returncode)


@contextlib.contextmanager
def two_sides(programs: PostgresPrograms | None = None) -> Iterator[Sides]:
    """Yield an origin without rows, and a database with the schema of this release."""
    with (
        running_server(settings=_SERVER, programs=programs) as origin,
        running_server(settings=_SERVER) as here,
        origin_database(origin.dsn()) as url,
    ):
        sides = Sides(url, here.dsn())
        environment = {**os.environ, "DATABASE_URL": sides.here}
        argv = [sys.executable, "-m", "entrypoints", "migrate", "up"]
        subprocess.run(argv, env=environment, cwd=ROOT, check=True, capture_output=True)
        with psycopg.connect(sides.here, autocommit=True) as connection:
            connection.execute(_BASE)
        yield sides


def fill(sides: Sides, rows: int) -> None:
    """Let the origin have so many rows of 2 KB."""
    with psycopg.connect(sides.origin, autocommit=True) as connection:
        stored = connection.execute("SELECT count(*) FROM meta.sessions").fetchone()[0]
        for first in range(stored + 1, rows + 1, _FILLED_AT_ONCE):
            connection.execute(_FILL, {"first": first, "last": min(first + _FILLED_AT_ONCE - 1, rows)})
        connection.execute("VACUUM ANALYZE meta.sessions")
        connection.execute("CHECKPOINT")


def piped(sides: Sides) -> float:
    """Return the seconds of COPY .. TO piped into COPY .. FROM."""
    psql = shutil.which("psql")
    assert psql is not None, "psql is needed for the comparison"
    emptied(sides)
    began_s = time.monotonic()
    reading = subprocess.Popen(
        [psql, "-qX", sides.origin, "-c", "COPY meta.sessions TO STDOUT (FORMAT binary)"], stdout=subprocess.PIPE
    )
    subprocess.run(
        [psql, "-qX", sides.here, "-c", "COPY figures.sessions FROM STDIN (FORMAT binary)"],
        stdin=reading.stdout,
        check=True,
    )
    assert reading.wait() == 0
    return time.monotonic() - began_s


def emptied(sides: Sides) -> None:
    with psycopg.connect(sides.here, autocommit=True) as connection:
        connection.execute("TRUNCATE figures.sessions, meta.inbound_sessions, meta.taken_sessions, meta.takeover")
        connection.execute("CHECKPOINT")


def copied(sides: Sides) -> Measured:
    emptied(sides)
    return sides.command("copy", "--output", "json")


def scanned(sides: Sides) -> float:
    """Return the seconds of both scans of digests, at the same time, without a comparison."""
    there, here = load_origin_statements().rows.select_digests, load_statements().verification.select_stored_digests
    lifetime = {"lifetime_max": "1 day", "rows_max": 1000}
    bounds = {"expired_after": "-infinity", "shift": "0 seconds", "rows_max": 1000, "bytes_max": DIGEST_BYTES_MAX}
    scans = [
        threading.Thread(target=scan, args=(sides.origin, there, "after_id", "", bounds)),
        threading.Thread(target=scan, args=(sides.here, here.sql, "after", str(_NIL), lifetime)),
    ]
    began_s = time.monotonic()
    for each in scans:
        each.start()
    for each in scans:
        each.join()
    return time.monotonic() - began_s


_NIL = "00000000-0000-0000-0000-000000000000"


def scan(url: str, sql: str, name: str, first: str, bounds: Mapping[str, object]) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET search_path = pg_catalog, meta; SET enable_seqscan = off; SET jit = off")
        after = first
        while rows := connection.execute(sql, {**bounds, name: after}).fetchall():
            after = rows[-1][0]


def planted(sides: Sides) -> set[str]:
    """Plant differences on both sides, and return the ids."""
    chance = random.Random(PLANTED)
    with psycopg.connect(sides.origin) as origin, psycopg.connect(sides.here) as here:
        query = "SELECT request_id FROM meta.sessions ORDER BY md5(request_id) LIMIT %s"
        chosen = [row[0] for row in origin.execute(query, [PLANTED])]
        for number, request_id in enumerate(chosen):
            connection, table, flips = (
                (origin, "sessions", _FLIPS_THERE) if number % 2 else (here, "inbound_sessions", _FLIPS_HERE)
            )
            flip = flips[number // 2 % len(flips)]
            joint = "AND" if "WHERE" in flip else "WHERE"
            statement = f"UPDATE meta.{table} {flip.replace('{{', '{').replace('}}', '}')} {joint} request_id = %s"
            connection.execute(statement, [chance.randint(5, 500), request_id])
    return set(chosen)


def found_by(sides: Sides, folder: Path) -> set[str]:
    report = folder / "differences.jsonl"
    sides.command("verify", "--report", str(report))
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    report.unlink()
    return {line["request_id"] for line in lines if line["verdict"] == "differs"}


def processor_s(url: str) -> float:
    """Return the processor time of all processes of a server, of those too that have ended."""
    with psycopg.connect(url) as connection:
        server = processor_of(connection.info.backend_pid)[0]
    found = [processor_of(int(each.name)) for each in Path("/proc").iterdir() if each.name.isdigit()]
    return sum(own_s for parent, own_s, _ in found if parent == server) + sum(processor_of(server)[1:])


def processor_of(pid: int) -> tuple[int, float, float]:
    """Return the parent of a process, and the processor time of itself and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0, 0.0, 0.0
    tick = os.sysconf("SC_CLK_TCK")
    user, kernel, childrens_user, childrens_kernel = map(int, fields[11:15])
    return int(fields[1]), (user + kernel) / tick, (childrens_user + childrens_kernel) / tick


def compare(sides: Sides, rows: int, turns: int) -> None:
    """Print the medians of turns."""
    pipes, copies, scans, checks, servers = [], [], [], [], []
    for _ in range(turns):
        pipes.append(piped(sides))
        began_s = processor_s(sides.origin), processor_s(sides.here)
        copies.append(copied(sides))
        servers.append((processor_s(sides.origin) - began_s[0], processor_s(sides.here) - began_s[1]))
        scans.append(scanned(sides))
        checks.append(sides.command("verify", "--output", "json"))
    there_us, here_us = (statistics.median(each) / rows * 1e6 for each in zip(*servers, strict=True))
    sys.stdout.write(f"copy    {rows:>9,} rows  processors: origin {there_us:.1f} us a row, here {here_us:.1f}\n")
    assert json.loads(copies[-1].output)["written"] == rows
    assert json.loads(checks[-1].output)["verdicts"]["same"] == rows
    for name, ours, theirs in (("copy", copies, pipes), ("verify", checks, scans)):
        wall_s, other_s = statistics.median(each.wall_s for each in ours), statistics.median(theirs)
        cpu_s = statistics.median(each.cpu_s for each in ours)
        sys.stdout.write(
            f"{name:6}  {rows:>9,} rows  {wall_s:7.2f} s  compared with {other_s:7.2f} s: {other_s / wall_s:.2f}  "
            f"command's processor {cpu_s / rows * 1e6:.1f} us a row  peak memory {max(e.rss_mb for e in ours):.0f} MB\n"
        )
        sys.stdout.flush()


def alone(sides: Sides, rows: int) -> None:
    """Print what both commands take by themselves."""
    for name, ours, verdict in (
        ("copy", copied(sides), "written"),
        ("verify", sides.command("verify", "--output", "json"), "same"),
    ):
        found = json.loads(ours.output)
        assert found.get("verdicts", found)[verdict] == rows
        sys.stdout.write(
            f"{name:6}  {rows:>9,} rows  {ours.wall_s:7.2f} s  {ours.cpu_s / rows * 1e6:.1f} us a row  "
            f"peak memory {ours.rss_mb:.1f} MB\n"
        )
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="measure time and memory without a comparison")
    parser.add_argument(
        "--origin-postgres", type=programs_in, help="the folder of another PostgreSQL for the origin, which has bin"
    )
    options = parser.parse_args()
    with two_sides(options.origin_postgres) as sides, tempfile.TemporaryDirectory() as folder:
        for rows in sorted(options.rows):
            fill(sides, rows)
            if options.alone:
                alone(sides, rows)
            else:
                compare(sides, rows, options.turns)
        wanted = planted(sides)
        found = found_by(sides, Path(folder))
        sys.stdout.write(f"planted {len(wanted):,}, found {len(found & wanted):,}, false {len(found - wanted):,}\n")


if __name__ == "__main__":
    main()
