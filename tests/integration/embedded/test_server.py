"""The embedded server: first start, restart, kill, recovery."""

import os
import signal
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from adapters.embedded_postgres.account import EmbeddedPostgresError
from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.process import launch
from tests.integration.embedded.conftest import TIMEOUT_S, as_root, wait_until


def query(running, statement):
    with psycopg.connect(running.server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def unstarted(folder, **options):
    return EmbeddedPostgres(EmbeddedPostgresOptions(folder, **options), launch)


def pid_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_new_server_has_utf8_and_a_role_without_superuser_rights(start):
    running = start(fresh=True)
    row = query(
        running,
        "SELECT r.rolsuper, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datlocprovider, d.datlocale "
        "FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()",
    )
    assert row == (False, "pglambda", "UTF8", "b", "C.UTF-8")


def test_the_server_listens_on_its_private_socket_only(start, folder):
    running = start()
    assert query(running, "SHOW listen_addresses") == ("",)
    assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "pgpass").stat().st_mode) == 0o600


def test_a_client_without_the_password_is_rejected(start):
    running = start()
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(running.server.url.replace("pgpass", "nothing"))


def test_the_server_has_connections_for_all_pools(start):
    running = start(connections_max=33)
    (connections,) = query(running, "SHOW max_connections")
    assert int(connections) > 33


def test_data_survives_a_stop_and_a_start(start):
    running = start()
    query(running, "CREATE TABLE kept AS SELECT 7 AS n")
    running.stop()
    assert not running.server.is_ready()
    assert query(start(), "SELECT n FROM kept") == (7,)


def test_committed_data_survives_a_kill_of_the_server(start):
    running = start()
    query(running, "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait(TIMEOUT_S)
    assert query(start(), "SELECT n FROM kept") == (7,)


def test_a_server_restarted_after_a_kill_has_the_same_url(start):
    running = start()
    url = running.server.url
    running.process.kill()
    running.process.wait(TIMEOUT_S)
    running.server.prepare()
    running.process = running.server.start()
    wait_until(running.server.is_ready, running.process)
    assert running.server.url == url
    assert query(running, "SELECT 1") == (1,)


def test_a_server_that_still_runs_is_ended_first(start):
    first = start()
    second = start()
    assert first.process.wait(TIMEOUT_S) is not None
    assert query(second, "SELECT 1") == (1,)


def test_a_backend_that_outlives_its_server_is_killed(start):
    first = start()
    with closing(psycopg.connect(first.server.url)) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        first.process.kill()
        first.process.wait(TIMEOUT_S)
        assert any(found.pid == backend for found in first.server.leftovers.processes())
        second = start(leftover_timeout_s=0.2)
        assert not pid_running(backend)
    assert query(second, "SELECT 1") == (1,)


def test_a_pid_file_with_an_unrelated_process_does_not_prevent_the_start(start, folder):
    running = start()
    running.process.kill()
    running.process.wait(TIMEOUT_S)
    file = folder / "postgres" / "postmaster.pid"
    file.write_text(file.read_text().replace(str(running.process.pid), str(os.getpid()), 1))
    assert query(start(), "SELECT 1") == (1,)


def test_a_first_start_that_was_killed_begins_again(start, folder):
    program = (
        "import sys; from pathlib import Path; from entrypoints.server.process import launch;"
        "from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions;"
        "EmbeddedPostgres(EmbeddedPostgresOptions(Path(sys.argv[1])), launch).prepare()"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)])
    wait_until(lambda: any(folder.glob("postgres.new-*/created/base")), process)
    process.kill()
    process.wait(TIMEOUT_S)
    assert not (folder / "postgres").exists()
    assert query(start(), "SELECT 1") == (1,)
    assert not list(folder.glob("postgres.new-*"))


def test_a_lost_password_file_is_replaced(start, folder):
    start().stop()
    (folder / "pgpass").unlink()
    assert query(start(), "SELECT 1") == (1,)


def test_a_path_too_long_for_a_socket_links_to_a_short_one(start, folder):
    deep = folder / ("d" * 110)
    deep.mkdir(mode=0o711)
    running = start(deep)
    short = (deep / "socket").readlink()
    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert query(running, "SELECT 1") == (1,)
    running.stop()
    assert not short.exists()
    assert not (deep / "socket").is_symlink()


def test_a_server_ends_with_the_process_that_started_it(folder):
    program = (
        "import os, sys, time; from pathlib import Path; from entrypoints.server.process import launch;"
        "from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions;"
        "s = EmbeddedPostgres(EmbeddedPostgresOptions(Path(sys.argv[1])), launch); s.prepare(); p = s.start();"
        "\nwhile not s.is_ready(): time.sleep(0.01)"
        "\nprint(p.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE)
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=TIMEOUT_S)
    wait_until(lambda: not pid_running(pid))


def test_a_large_log_is_rotated_at_the_start(start, folder):
    with (folder / "postgres.log").open("wb") as log:
        log.truncate(11 * 1024 * 1024)
    start()
    assert (folder / "postgres.log.1").stat().st_size == 11 * 1024 * 1024
    assert (folder / "postgres.log").stat().st_size < 10_000


def test_the_log_has_the_reason_of_a_failed_start(start, folder):
    assert unstarted(folder).log_tail == ""
    start().stop()
    server = unstarted(folder, shared_buffers_mb=0)
    server.prepare()
    assert server.start().wait(TIMEOUT_S) == 1
    assert "shared_buffers" in server.log_tail


def test_a_server_with_an_incomplete_pid_file_is_not_ready(start, folder):
    start().stop()
    (folder / "postgres" / "postmaster.pid").write_text("1\n2\n")
    assert not unstarted(folder).is_ready()


@as_root
def test_a_folder_that_the_user_of_the_server_may_not_enter_is_an_error(folder):
    folder.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="may not enter"):
        unstarted(folder).prepare()
