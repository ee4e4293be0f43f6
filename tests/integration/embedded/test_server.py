import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from adapters.embedded_postgres.errors import EmbeddedPostgresError
from adapters.embedded_postgres.leftovers import Leftovers
from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.process import launch
from tests.integration.embedded.conftest import TIMEOUT_S, as_root, wait_until


def ask(life, statement):
    with psycopg.connect(life.server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def unstarted(folder, **options):
    return EmbeddedPostgres(EmbeddedPostgresOptions(folder, **options), launch)


def leftovers(life):
    folder = life.server.options.data_dir / "postgres"
    return Leftovers(folder, life.server._name, folder.stat().st_uid)


def pid_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_fresh_server_speaks_utf8_to_a_role_that_is_no_superuser(start):
    life = start(fresh=True)
    row = ask(
        life,
        "SELECT r.rolsuper, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datlocprovider, d.datlocale "
        "FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()",
    )
    assert row == (False, "pglambda", "UTF8", "b", "C.UTF-8")


def test_it_listens_on_its_private_socket_only(start, folder):
    life = start()
    assert ask(life, "SHOW listen_addresses") == ("",)
    assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "pgpass").stat().st_mode) == 0o600


def test_nobody_enters_without_the_password(start):
    life = start()
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(life.server.url.replace("pgpass", "nothing"))


def test_the_server_is_as_large_as_the_pools_need(start):
    life = start(connections_max=33)
    (connections,) = ask(life, "SHOW max_connections")
    assert int(connections) > 33


def test_what_was_stored_is_there_after_a_stop_and_a_start(start):
    life = start()
    ask(life, "CREATE TABLE kept AS SELECT 7 AS n")
    life.stop()
    assert not life.server.is_ready()
    assert ask(start(), "SELECT n FROM kept") == (7,)


def test_what_was_committed_survives_a_kill_of_the_server(start):
    life = start()
    ask(life, "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(life.process.pid, signal.SIGKILL)
    life.process.wait(TIMEOUT_S)
    assert ask(start(), "SELECT n FROM kept") == (7,)


def test_a_server_started_again_after_a_kill_is_where_it_was(start):
    life = start()
    url = life.server.url
    life.process.kill()
    life.process.wait(TIMEOUT_S)
    life.server.prepare()
    life.process = life.server.start()
    wait_until(life.server.is_ready, life.process)
    assert life.server.url == url
    assert ask(life, "SELECT 1") == (1,)


def test_a_server_that_is_still_alive_is_ended_first(start):
    first = start()
    second = start()
    assert first.process.wait(TIMEOUT_S) is not None
    assert ask(second, "SELECT 1") == (1,)


def test_a_backend_that_outlives_its_server_is_ended_by_force(start):
    first = start()
    with closing(psycopg.connect(first.server.url)) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        first.process.kill()
        first.process.wait(TIMEOUT_S)
        assert any(found.pid == backend for found in leftovers(first).processes())
        second = start(leftover_timeout_s=0.2)
        assert not pid_running(backend)
    assert ask(second, "SELECT 1") == (1,)


def test_a_pid_file_that_names_somebody_else_does_not_prevent_the_start(start, folder):
    life = start()
    life.process.kill()
    life.process.wait(TIMEOUT_S)
    file = folder / "postgres" / "postmaster.pid"
    file.write_text(file.read_text().replace(str(life.process.pid), str(os.getpid()), 1))
    assert ask(start(), "SELECT 1") == (1,)


def test_a_first_start_that_was_killed_half_way_is_begun_anew(start, folder):
    program = (
        "import sys; from pathlib import Path; from entrypoints.server.process import launch;"
        "from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions;"
        "EmbeddedPostgres(EmbeddedPostgresOptions(Path(sys.argv[1])), launch).prepare()"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)])
    wait_until(lambda: any(folder.glob("postgres.new-*/made/base")), process)
    process.kill()
    process.wait(TIMEOUT_S)
    assert not (folder / "postgres").exists()
    assert ask(start(), "SELECT 1") == (1,)
    assert not list(folder.glob("postgres.new-*"))


def test_a_lost_password_file_is_replaced(start, folder):
    start().stop()
    (folder / "pgpass").unlink()
    assert ask(start(), "SELECT 1") == (1,)


def test_a_data_folder_of_another_major_is_refused_with_the_way_out(start, folder):
    start().stop()
    (folder / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"PostgreSQL 17 made.* this is PostgreSQL 18") as refused:
        unstarted(folder).prepare()
    (title,) = re.findall('under "(.*)"', str(refused.value))
    assert f"\n## {title}\n" in (Path(__file__).parents[3] / "docs/operations.md").read_text()


def test_a_path_too_long_for_a_socket_is_linked_to_a_short_one(start, folder):
    deep = folder / ("d" * 110)
    deep.mkdir(mode=0o711)
    life = start(deep)
    short = (deep / "socket").readlink()
    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert ask(life, "SELECT 1") == (1,)
    life.stop()
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


def test_a_log_that_has_grown_is_rolled_at_the_start(start, folder):
    with (folder / "postgres.log").open("wb") as log:
        log.truncate(11 * 1024 * 1024)
    start()
    assert (folder / "postgres.log.1").stat().st_size == 11 * 1024 * 1024
    assert (folder / "postgres.log").stat().st_size < 10_000


def test_the_log_tells_why_a_server_does_not_start(start, folder):
    assert unstarted(folder).log_tail == ""
    start().stop()
    server = unstarted(folder, shared_buffers_mb=0)
    server.prepare()
    assert server.start().wait(TIMEOUT_S) == 1
    assert "shared_buffers" in server.log_tail


def test_a_pid_file_that_is_not_whole_yet_is_not_ready(start, folder):
    start().stop()
    (folder / "postgres" / "postmaster.pid").write_text("1\n2\n")
    assert not unstarted(folder).is_ready()


@as_root
def test_a_folder_that_the_servers_user_may_not_enter_is_refused(folder):
    folder.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="may not enter"):
        unstarted(folder).prepare()
