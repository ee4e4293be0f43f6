"""Backups of a server that runs, and their restore: to the end of a backup, and to a point in time."""

import subprocess
import threading
from pathlib import Path

import psycopg
import pytest

from adapters.embedded_postgres.account import EmbeddedPostgresError
from adapters.embedded_postgres.backup import BaseBackup
from adapters.embedded_postgres.programs import find_programs
from adapters.embedded_postgres.restoration import LATEST, RecoveryTarget, Restoration
from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from adapters.postgres.statements.catalogue import load_statements
from domain.cleanup import ArchiveStats
from domain.inspection import ArchiveFacts
from entrypoints.server.database import running
from entrypoints.server.process import launch
from tests.integration.embedded.conftest import TIMEOUT_S, RunningServer, seed, wait_until
from tests.support.folders import shared_folder

pytestmark = pytest.mark.timeout(120)

COUNT = "SELECT count(*), coalesce(max(n), 0) FROM numbers"


def query(url, statement, *values):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchone() if cursor.description else None


def write_backup(server, file: Path) -> Path:
    with BaseBackup(server.url, find_programs(), launch).opened("a test") as (_, chunks), file.open("wb") as written:
        for chunk in chunks:
            written.write(chunk)
    return file


def staged(folder, file, until=None, *, wal_archive=None, durable=False) -> Restoration:
    """Return a backup that was restored into the scratch folder and checked."""
    scratch = folder / "scratch"
    scratch.mkdir(mode=0o711, exist_ok=True)
    restoration = Restoration(EmbeddedPostgresOptions(folder, wal_archive=wal_archive), launch, scratch, durable)
    with file.open("rb") as source:
        label = restoration.unpack(source, lambda _: None)
    restoration.verify()
    restoration.recover(label, RecoveryTarget(until))
    return restoration


class Numbers:
    """Writes 1, 2, 3, ... in a thread, and knows the greatest number that the server has acknowledged."""

    def __init__(self, url: str) -> None:
        query(url, "CREATE TABLE numbers (n bigint PRIMARY KEY, text text)")
        self._url, self._ends, self.acknowledged = url, threading.Event(), 0
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        wait_until(lambda: self.acknowledged)

    def end(self) -> int:
        self._ends.set()
        self._thread.join(TIMEOUT_S)
        return self.acknowledged

    def _write(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._ends.is_set():
                connection.execute("INSERT INTO numbers VALUES (%s, repeat('x', 500))", (self.acknowledged + 1,))
                self.acknowledged += 1


def found_in(restoration: Restoration, statement: str = COUNT):
    """Start the restored server, check its tables, and return a row."""
    server = restoration.server()
    with running(server) as url:
        restoration.check_tables(server)
        return query(url, statement)


def test_a_backup_under_load_has_all_that_was_acknowledged_before_it_and_no_gap(start, folder, tmp_path):
    first = start()
    numbers = Numbers(first.server.url)
    before = numbers.acknowledged
    file = write_backup(first.server, tmp_path / "backup.tar")
    after = numbers.end()
    first.stop()
    restoration = staged(folder, file, durable=True)
    count, greatest = found_in(restoration)
    assert before <= greatest <= after
    assert count == greatest
    assert restoration.put_in_place() == folder / "postgres.old-1"
    second = start()
    assert query(second.server.url, COUNT) == (count, greatest)
    assert query(second.server.url, "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == (0,)


@pytest.fixture
def archive(folder):
    return folder / "wal archive"


@pytest.fixture
def archived(start, folder, archive, tmp_path):
    """A stopped server that has archived 1, a backup of it, 2, an instant, and 3; yields the backup and the instant."""
    server = start(wal_archive=archive)
    query(server.server.url, "CREATE TABLE numbers (n bigint)")
    query(server.server.url, "INSERT INTO numbers VALUES (1)")
    file = write_backup(server.server, tmp_path / "backup.tar")
    query(server.server.url, "INSERT INTO numbers VALUES (2)")
    (instant,) = query(server.server.url, "SELECT clock_timestamp()")
    query(server.server.url, "INSERT INTO numbers VALUES (3)")
    server.stop()
    return file, instant


def test_a_restore_reaches_any_point_in_time_and_then_continues_the_archive(start, folder, archive, archived):
    file, instant = archived
    assert found_in(staged(folder, file)) == (1, 1)
    assert found_in(staged(folder, file, LATEST, wal_archive=archive)) == (3, 3)
    restoration = staged(folder, file, instant, wal_archive=archive, durable=True)
    assert found_in(restoration) == (2, 2)
    restoration.put_in_place()
    server = start(wal_archive=archive)
    query(server.server.url, "INSERT INTO numbers VALUES (4)")
    server.stop()
    assert len(list(archive.glob("*/00000002.history"))) == 1
    assert found_in(staged(folder, file, LATEST, wal_archive=archive), "SELECT array_agg(n) FROM numbers") == (
        [1, 2, 4],
    )


def test_a_time_that_the_archive_does_not_cover_is_a_clear_error(folder, archive, archived):
    file, instant = archived
    with pytest.raises(EmbeddedPostgresError, match=r"^The WAL archive ends before .* Nothing was changed\."):
        staged(folder, file, instant.replace(year=instant.year + 1), wal_archive=archive)
    with pytest.raises(EmbeddedPostgresError, match=r"^The backup ended after .* or an older backup\."):
        staged(folder, file, instant.replace(year=instant.year - 1), wal_archive=archive)


def test_an_archived_segment_is_never_overwritten_and_the_server_says_so(start, folder, archive):
    server = start(wal_archive=archive)
    (segment,) = query(server.server.url, "SELECT pg_walfile_name(pg_current_wal_lsn())")
    (own,) = archive.iterdir()
    foreign = own / segment
    foreign.write_bytes(b"WAL of another database")
    query(server.server.url, "CREATE TABLE numbers (n bigint)")
    server.process.send_signal(server.server.fast_stop)
    server.process.wait(TIMEOUT_S)
    server = start(wal_archive=archive)
    failed = "SELECT failed_count > 0 AND last_failed_wal = %s FROM pg_stat_archiver"
    wait_until(lambda: query(server.server.url, failed, segment) == (True,))
    statements = load_statements()
    assert ArchiveStats(*query(server.server.url, statements.cleanup.select_archiving.sql)).is_failing
    assert ArchiveFacts(*query(server.server.url, statements.inspection.select_archiver.sql)).is_failing
    assert foreign.read_bytes() == b"WAL of another database"


@pytest.fixture(scope="module")
def backup(made, tmp_path_factory):
    """A backup, made once."""
    with shared_folder() as folder:
        seed(made, folder)
        first = RunningServer(folder)
        query(first.server.url, "CREATE TABLE texts AS SELECT 'a marked row' AS text")
        yield write_backup(first.server, tmp_path_factory.mktemp("backup") / "backup.tar")
        first.stop()


def test_databases_may_share_a_folder_for_their_archives(start, folder, archive):
    for fresh in (False, True):
        server = start(fresh=fresh, wal_archive=archive)
        server.stop()
        (folder / "postgres").rename(folder / f"postgres.{fresh}")
    found = {path.parent.name for path in archive.glob("*/000000010000000000000001")}
    assert len(found) == 2


def test_a_damaged_backup_is_refused_with_the_file_that_is_damaged(backup, folder, tmp_path):
    content = bytearray(backup.read_bytes())
    content[content.index(b"LABEL: a test") + 7] ^= 1
    (tmp_path / "damaged.tar").write_bytes(content)
    with pytest.raises(EmbeddedPostgresError, match=r"(?s)^The backup is damaged.*backup_label"):
        staged(folder, tmp_path / "damaged.tar")


def test_a_damaged_table_is_found_where_the_server_had_damaged_it_before_the_backup(backup, folder):
    (folder / "scratch").mkdir(mode=0o711)
    restoration = Restoration(EmbeddedPostgresOptions(folder), launch, folder / "scratch", False)
    with backup.open("rb") as source:
        label = restoration.unpack(source, lambda _: None)
    (table,) = (path for path in (folder / "scratch/postgres/base").glob("*/*") if b"a marked row" in path.read_bytes())
    table.write_bytes(table.read_bytes().replace(b"a marked row", b"another one!"))
    restoration.recover(label, RecoveryTarget())
    with pytest.raises(EmbeddedPostgresError, match=r"(?s)^A table or an index in the backup is damaged.*texts"):
        found_in(restoration, "SELECT 1")


def test_a_backup_of_another_major_version_is_refused(backup, folder, tmp_path):
    content = backup.read_bytes()
    place = content.index(b"\x0018\n\x00") + 1
    (tmp_path / "older.tar").write_bytes(content[:place] + b"17" + content[place + 2 :])
    with pytest.raises(EmbeddedPostgresError, match=r"^The backup is of PostgreSQL 17, and this release has Post"):
        staged(folder, tmp_path / "older.tar")


def test_two_backups_at_once_are_refused_and_a_later_one_succeeds(start, tmp_path):
    server = start().server
    with BaseBackup(server.url, find_programs(), launch).opened("first") as (_, chunks):
        next(chunks)
        with pytest.raises(EmbeddedPostgresError, match=r"^Another backup of this server is running"):
            write_backup(server, tmp_path / "second.tar")
    assert write_backup(server, tmp_path / "third.tar").stat().st_size > 0
    assert query(server.url, "SELECT count(*) FROM pg_replication_slots") == (0,)


@pytest.mark.parametrize("is_awaited", [False, True], ids=["while psql runs", "after psql has ended"])
def test_a_server_that_is_gone_is_a_clear_error(start, is_awaited):
    running_server = start()
    url = running_server.server.url
    running_server.stop()

    def launched(*command, **options):
        process = launch(*command, **options)
        if is_awaited:
            process.wait()
        return process

    with (
        pytest.raises(EmbeddedPostgresError, match=r"^The server cannot be backed up: .*No such file or directory"),
        BaseBackup(url, find_programs(), launched).opened("late"),
    ):
        raise AssertionError("there is no server")


def test_a_server_of_an_earlier_release_gets_the_role_of_backups_at_its_next_start(start, folder, tmp_path):
    first = start()
    write_backup(first.server, tmp_path / "before.tar")
    first.stop()
    passfile = folder / "pgpass"
    passfile.write_text(passfile.read_text().splitlines()[0].replace("*:*:*:", "*:*:pglambda:") + "\n")
    assert write_backup(start().server, tmp_path / "after.tar").stat().st_size > 0


class TestAKilledRestore:
    """The renames of a restore, each followed by a kill; the restored folder has no numbers, and the former one has."""

    @pytest.fixture(autouse=True)
    def restored(self, start, folder, made):
        first = start()
        query(first.server.url, "CREATE TABLE numbers AS SELECT 1 AS n")
        first.stop()
        subprocess.run(["cp", "-a", made / "postgres", folder / "postgres.restored"], check=True)

    def test_before_the_former_folder_was_put_aside_it_stays(self, start, folder):
        assert query(start().server.url, COUNT) == (1, 1)
        assert not list(folder.glob("postgres.restored*"))
        assert not list(folder.glob("postgres.new-*"))

    def test_after_the_former_folder_was_put_aside_the_next_start_completes_the_restore(self, start, folder):
        (folder / "postgres").rename(folder / "postgres.old-1")
        server = start(fresh=True)
        assert server.server.exists
        assert query(server.server.url, "SELECT to_regclass('numbers')") == (None,)
        server.stop()
        (folder / "postgres").rename(folder / "postgres.discarded")
        (folder / "postgres.old-1").rename(folder / "postgres")
        assert query(start().server.url, COUNT) == (1, 1)

    def test_a_database_exists_while_only_the_restored_folder_does(self, folder):
        (folder / "postgres").rename(folder / "postgres.old-1")
        assert EmbeddedPostgres(EmbeddedPostgresOptions(folder), launch).exists


def test_each_former_folder_is_kept(start, folder, backup):
    start().stop()
    (folder / "postgres.old-1").mkdir()
    restoration = staged(folder, backup, durable=True)
    assert restoration.put_in_place() == folder / "postgres.old-2"
    assert query(start().server.url, "SELECT 1") == (1,)


def test_a_password_file_that_is_written_anew_during_a_restore_fits_both_folders(start, folder, backup):
    start().stop()
    (folder / "pgpass").unlink()
    restoration = staged(folder, backup, durable=True)
    start().stop()  # the restore counts what the former folder holds, and this start writes the file
    kept = restoration.put_in_place()
    restored = start()
    assert query(restored.server.url, "SELECT 1") == (1,)
    restored.stop()
    (folder / "postgres").rename(folder / "postgres.undone")
    kept.rename(folder / "postgres")
    assert query(start().server.url, "SELECT 1") == (1,)


def test_after_a_restore_without_the_archive_the_archive_gets_the_timeline(start, folder, archive, archived):
    file, _ = archived
    staged(folder, file, durable=True).put_in_place()
    server = start(wal_archive=archive)
    query(server.server.url, "INSERT INTO numbers VALUES (4)")
    server.stop()
    restoration = staged(folder, file, LATEST, wal_archive=archive)
    assert found_in(restoration, "SELECT array_agg(n) FROM numbers") == ([1, 4],)


def test_a_timeline_whose_number_the_archive_has_is_not_archived(start, folder, archive, archived):
    file, instant = archived
    staged(folder, file, instant, wal_archive=archive, durable=True).put_in_place()
    start(wal_archive=archive).stop()
    staged(folder, file, durable=True).put_in_place()
    before = {path.name for path in archive.glob("*/*")}
    server = start(wal_archive=archive)
    statement = "SELECT last_failed_wal FROM pg_stat_archiver"
    wait_until(lambda: query(server.server.url, statement) == ("00000002.history",))
    assert {path.name for path in archive.glob("*/*")} == before
