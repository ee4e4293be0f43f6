"""The move to another major version: what happens to the folders, also after an interruption at any step."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from attrs import define, field

from adapters.embedded_postgres.account import EmbeddedPostgresError, choose_account
from adapters.embedded_postgres.cluster import Cluster
from adapters.embedded_postgres.programs import PostgresPrograms, ProgramRunner
from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from adapters.embedded_postgres.upgrade import DatabaseUpgrade
from entrypoints.server.process import launch
from tests.support.folders import shared_folder

NOBODY = 65534
PROGRAM = """#!/bin/sh
case "$0" in
*/postgres) echo 'postgres (PostgreSQL) {version}' ;;
*/pg_dump) for option; do case "$option" in --file=*) echo dumped > "${{option#--file=}}" ;; esac; done ;;
*) exit {status} ;;
esac
"""


def programs(folder: Path, version: str, status: int = 0) -> PostgresPrograms:
    """Make programs that answer like those of a version; all but postgres and pg_dump end with the status."""
    (folder / "bin").mkdir(parents=True)
    for name in ("postgres", "pg_dump", "pg_restore", "vacuumdb"):
        path = folder / "bin" / name
        path.write_text(PROGRAM.format(version=version, status=status))
        path.chmod(0o755)
    return PostgresPrograms(folder, version)


def data_folder(path: Path, major: int, mark: str = "") -> Path:
    path.mkdir(mode=0o711)
    (path / "PG_VERSION").write_text(f"{major}\n")
    (path / "mark").write_text(mark)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path


def state_of(data_dir: Path) -> dict[str, str]:
    """Return the major version of each data folder, with its mark."""
    found = sorted(data_dir.glob("postgres*/PG_VERSION"))
    return {path.parent.name: path.read_text().strip() + path.with_name("mark").read_text() for path in found}


@define
class World:
    """A data folder of PostgreSQL 17, and a release with PostgreSQL 18."""

    root: Path
    data_dir: Path = field(init=False)
    status: int = 0
    reports: list = field(factory=list)
    archives: list = field(factory=list)

    def __attrs_post_init__(self):
        self.data_dir = self.root / "data"
        self.data_dir.mkdir()
        data_folder(self.data_dir / "postgres", 17, "old")
        programs(self.root / "17", "17.9 (Debian 17.9-1)")

    def upgrade(self, version: str = "18.6") -> DatabaseUpgrade:
        release = self.root / f"release-{version}"
        installed = PostgresPrograms(release, version) if release.exists() else programs(release, version, self.status)
        server = EmbeddedPostgres(EmbeddedPostgresOptions(self.data_dir), launch, installed)
        return DatabaseUpgrade(server, self.running)

    @contextlib.contextmanager
    def running(self, server):
        """Stand for a running server: it makes its data folder if there is none, as the real one does."""
        self.archives.append(server.options.wal_archive)
        folder = server.options.data_dir / "postgres"
        if not folder.exists():
            data_folder(folder, int(server.installed.major), "new")
        yield "postgresql:///pglambda"

    def cluster(self) -> Cluster:
        folder = self.data_dir / "postgres"
        account = choose_account(folder)
        installed = self.upgrade().server.installed
        return Cluster(folder, self.data_dir / "pgpass", installed, account, ProgramRunner(launch, account, 5))

    def run(self, **options):
        upgrade = self.upgrade()
        upgrade.run(upgrade.plan(self.root / "17"), lambda *report: self.reports.append(report), **options)
        return upgrade


@pytest.fixture
def world():
    with shared_folder() as folder:
        yield World(folder)


def test_the_earlier_folder_is_kept_beside_the_new_one(world):
    world.data_dir.joinpath("pgpass").write_text("secret")
    upgrade = world.run()
    assert state_of(world.data_dir) == {"postgres": "18new", "postgres-17": "17old"}
    assert not (world.data_dir / "pgpass").exists(), "the next start gives the new role a password"
    assert [each.major for each in upgrade.kept] == [17]
    assert {phase for phase, _ in world.reports} == {"preparing", "dumping", "restoring"}


def test_a_dry_run_changes_nothing(world):
    world.run(check_only=True)
    assert state_of(world.data_dir) == {"postgres": "17old"}
    assert not list(world.data_dir.glob("postgres.*"))


def test_a_program_that_fails_changes_nothing(world):
    world.status = 3
    with pytest.raises(EmbeddedPostgresError, match=r"pg_restore failed with status 3"):
        world.run()
    assert state_of(world.data_dir) == {"postgres": "17old"}
    assert not list(world.data_dir.glob("postgres.*"))


def test_the_way_back_keeps_the_new_folder_until_it_is_finished(world):
    upgrade = world.run()
    assert upgrade.back() == world.data_dir / "postgres-18"
    assert state_of(world.data_dir) == {"postgres": "17old", "postgres-18": "18new"}
    with pytest.raises(EmbeddedPostgresError, match=r"postgres-18 is kept .* --finish"):
        upgrade.plan(None)
    with pytest.raises(EmbeddedPostgresError, match="no way back"):
        upgrade.back()
    upgrade.finish()
    assert state_of(world.data_dir) == {"postgres": "17old"}


def test_a_kept_folder_whose_removal_was_interrupted_is_no_way_back(world, monkeypatch):
    upgrade = world.run()
    remove = shutil.rmtree

    def interrupted(folder):
        (folder / "mark").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upgrade.finish()
    monkeypatch.setattr(shutil, "rmtree", remove)
    assert not upgrade.kept
    upgrade.settle()
    assert state_of(world.data_dir) == {"postgres": "18new"}
    assert not list(world.data_dir.glob("postgres.*"))


@pytest.mark.parametrize(
    ("found", "settled"),
    [
        ({"postgres": 17, "postgres.next": 18}, {"postgres": "17"}),
        ({"postgres-17": 17, "postgres.next": 18}, {"postgres": "18", "postgres-17": "17"}),
        ({"postgres": 18, "postgres-17": 17}, {"postgres": "18", "postgres-17": "17"}),
        ({"postgres-17": 17, "postgres-18": 18}, {"postgres": "17", "postgres-18": "18"}),
    ],
    ids=["copied", "exchanging", "exchanged", "going back"],
)
@pytest.mark.parametrize("release", ["17.9", "18.6"])
def test_an_interruption_at_any_step_is_settled_by_either_release(world, found, settled, release):
    (world.data_dir / "postgres").rename(world.root / "away")
    for name, major in found.items():
        data_folder(world.data_dir / name, major)
    upgrade = world.upgrade(release)
    upgrade.settle()
    assert state_of(world.data_dir) == settled
    upgrade.settle()
    assert state_of(world.data_dir) == settled


def test_an_interrupted_restore_is_left_to_the_next_start(world):
    (world.data_dir / "postgres").rename(world.data_dir / "postgres-17")
    data_folder(world.data_dir / "postgres.restored", 18)
    world.upgrade().settle()
    assert state_of(world.data_dir) == {"postgres-17": "17old", "postgres.restored": "18"}


def test_neither_server_archives_wal(world):
    server = EmbeddedPostgres(
        EmbeddedPostgresOptions(world.data_dir, wal_archive=world.root / "wal"),
        launch,
        world.upgrade().server.installed,
    )
    upgrade = DatabaseUpgrade(server, world.running)
    upgrade.run(upgrade.plan(world.root / "17"), lambda *report: None)
    assert world.archives == [None, None]


def test_a_folder_is_not_created_while_an_exchange_is_incomplete(world):
    (world.data_dir / "postgres").rename(world.data_dir / "postgres-17")
    with pytest.raises(EmbeddedPostgresError, match=r"postgres-17 does: .* `pglambda upgrade-database`"):
        world.cluster().ensure()


@pytest.mark.parametrize(
    ("major", "remedy"), [(17, "`pglambda upgrade-database`; --dry-run"), (19, "`pglambda upgrade-database --back`")]
)
def test_the_error_of_another_major_version_names_the_command(world, major, remedy):
    (world.data_dir / "postgres/PG_VERSION").write_text(f"{major}\n")
    with pytest.raises(EmbeddedPostgresError, match=f"PostgreSQL {major} created .*{remedy}"):
        world.cluster().ensure()


def test_a_newer_folder_is_not_upgraded(world):
    with pytest.raises(EmbeddedPostgresError, match=r"is of PostgreSQL 17, and this release has 16"):
        world.upgrade("16.1").plan(None)


def test_programs_of_another_version_are_refused(world):
    programs(world.root / "15", "15.3")
    upgrade = world.upgrade()
    with pytest.raises(EmbeddedPostgresError, match=r"needs the programs of PostgreSQL 17, .*/15\. .*--old-programs"):
        upgrade.plan(world.root / "15")


def test_programs_that_an_earlier_release_has_copied_are_found(world):
    (world.root / "17").rename(world.data_dir / "postgres-17.9-programs")
    plan = world.upgrade().plan(None)
    assert (plan.old.folder, plan.old.version) == (world.data_dir / "postgres-17.9-programs", "17.9")


def test_too_little_space_is_an_error_with_both_numbers(world):
    upgrade = world.upgrade()
    plan = upgrade.plan(world.root / "17")
    scarce = type(plan)(plan.old, plan.new, plan.size_bytes, free_bytes=2 * 1024 * 1024)
    with pytest.raises(EmbeddedPostgresError, match=r"needs 256 MiB in .*, and 2 MiB are free"):
        upgrade.run(scarce, lambda *report: None)
    assert state_of(world.data_dir) == {"postgres": "17old"}
