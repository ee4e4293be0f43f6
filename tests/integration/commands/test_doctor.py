"""The command `doctor` on real databases and hosts: healthy ones, and each fault of a database or of the way to it."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.migration import indexes_of, load_migrations
from adapters.postgres.repositories.sessions import PostgresSessionRepository
from adapters.postgres.statements.catalogue import Statements
from adapters.system_clock import SystemClock
from domain.scripts.script import Script
from entrypoints.cli.doctor.command import check_database, host_checks
from entrypoints.cli.doctor.host import host_facts
from entrypoints.cli.doctor.report import Finding, Level
from entrypoints.composition.commands import Commands
from entrypoints.composition.runners import HostInspector
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from entrypoints.version import VERSION
from tests.contracts.served_hosts import served
from tests.integration.application.conftest import settings_for
from tests.integration.commands.conftest import Run, pglambda
from tests.integration.postgres.silent_server import SilentServer
from tests.support.ports import free_port, loopback_socket
from tests.support.waiting import within
from tests.unit.domain.builders import session_at

Change = Callable[..., None]


async def examine(settings: Settings) -> Sequence[Finding]:
    return await check_database(Commands(settings=settings))


async def seen_of(settings: Settings, *given: Level) -> list[str]:
    return [each.seen for each in await examine(settings) if each.level in given]


def at(settings: Settings, url: str) -> Settings:
    return replace(settings, database_url=Secret(url))


@pytest.fixture
def change(database_url: str) -> Change:
    def run(*statements: str) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    return run


def test_the_command_finds_no_problem_in_a_healthy_installation(run: Run) -> None:
    result = run("doctor", "--output", "json")
    assert result.returncode == 0, result.stdout
    document = json.loads(result.stdout)
    statuses = {(each["subject"], each["status"]) for each in document["findings"]}
    assert {("database", "ok"), ("server", "ok"), ("clock", "ok"), ("schema", "ok"), ("sandbox", "ok")} <= statuses
    # The server of the tests does not sync; nothing else is wrong.
    wrong = [each["seen"] for each in document["findings"] if each["status"] in {"warning", "problem"}]
    assert wrong in ([], ["fsync is off"])


def test_the_command_finds_a_missing_schema(empty_database_url: str, settings: Settings) -> None:
    empty = settings_for(empty_database_url, settings.data_dir).database_url
    assert empty is not None
    result = pglambda("doctor", DATABASE_URL=empty.reveal(), DATA_DIR=str(settings.data_dir))
    assert result.returncode == 1
    assert "problem   schema" in result.stdout
    assert "-> pglambda migrate up" in result.stdout
    assert "could not be checked" not in result.stdout


async def test_the_expected_indexes_are_those_of_the_migrations(settings: Settings) -> None:
    count = len(indexes_of(load_migrations()))
    assert f"all {count} indexes exist and are valid" in await seen_of(settings, Level.OK)
    assert not [each for each in await seen_of(settings, Level.NOTE) if "indexes" in each]


async def test_registered_hosts_are_read_and_judged(settings: Settings, change: Change) -> None:
    change(
        "INSERT INTO meta.runtime_hosts VALUES ('h', gen_random_uuid(), 'http://h:1', '10.0.0.7', '{python}', 1, "
        "'0.0.1', 'ready', now(), now())"
    )
    accepting = replace(settings, runtime_host_networks=("10.0.0.0/8",))
    assert "no host is registered for nodejs" in await seen_of(accepting, Level.PROBLEM)
    assert "1 hosts are registered, and are live" in await seen_of(accepting, Level.OK)
    assert [each for each in await seen_of(settings, Level.NOTE) if "uses none of them" in each]


async def test_a_transaction_that_keeps_dead_rows_is_found_by_its_process(
    settings: Settings, database_url: str
) -> None:
    with psycopg.connect(database_url, application_name="monthly report") as connection:
        connection.execute("SELECT pg_current_xact_id()")
        async with Commands(settings=settings).database_inspection() as inspector:
            holders = {each.name: each for each in await inspector.horizon_holders()}
        found = holders[str(connection.info.backend_pid)]
    assert (found.kind, found.application, found.state) == ("process", "monthly report", "idle in transaction")
    assert found.since is not None
    assert found.transactions >= 0


async def test_missing_invalid_and_foreign_indexes_are_found(settings: Settings, change: Change) -> None:
    change(
        "DROP INDEX meta.sessions_by_owner",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'meta.sessions_by_expiry'::regclass",
        "CREATE INDEX own ON meta.sessions (last_executed_at)",
    )
    assert await seen_of(settings, Level.PROBLEM) == [
        "indexes are missing: sessions_by_owner",
        "indexes are not valid: sessions_by_expiry",
    ]
    assert "indexes that the service does not need: own" in await seen_of(settings, Level.NOTE)


async def test_changed_and_unknown_migrations_are_found(settings: Settings, change: Change) -> None:
    change(
        "UPDATE meta.migrations SET checksum = 'another' WHERE version = 2",
        "UPDATE meta.migrations SET version = 99, name = 'future' WHERE version = 7",
    )
    assert await seen_of(settings, Level.PROBLEM) == [
        "migrations are applied that this release does not have: 0099_future",
        "migrations were changed after they were applied: 0002_executions",
        "migrations are pending: 0007_shortened_days",
    ]


async def test_updates_that_are_not_hot_are_found(
    settings: Settings, change: Change, gateway: Gateway, statements: Statements
):
    sessions = PostgresSessionRepository(gateway, statements.sessions, BatchKeys())
    await sessions.add(session_at(), Script.of("1", 100))
    change(
        "CREATE INDEX own ON meta.sessions (execution_count)",
        *["UPDATE meta.sessions SET execution_count = execution_count + 1"] * 1100,
        "SELECT pg_stat_force_next_flush()",
    )
    await _statistics(settings)
    assert "meta.sessions: 0% of 1,100 updates are HOT" in await seen_of(settings, Level.WARNING)


async def _statistics(settings: Settings) -> None:
    """Wait until the server has counted: it counts when a connection closes."""
    until_s = time.monotonic() + 10
    async with Commands(settings=settings).database_inspection() as database:
        while not any(table.updates >= 1100 for table in await database.tables()):
            assert time.monotonic() < until_s


async def test_a_table_without_its_options_is_found(settings: Settings, change: Change) -> None:
    change("ALTER TABLE meta.sessions RESET (fillfactor)", "ALTER TABLE meta.rates SET (autovacuum_enabled = false)")
    assert {"meta.sessions has lost its fillfactor", "autovacuum is off for meta.rates"} <= set(
        await seen_of(settings, Level.WARNING)
    )


async def test_a_read_only_database_is_found(settings: Settings, change: Change, database_url: str) -> None:
    name = conninfo_to_dict(database_url)["dbname"]
    change(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert await seen_of(settings, Level.PROBLEM) == ["transactions are read-only by default"]


async def test_missing_time_limits_are_found(settings: Settings) -> None:
    unlimited = replace(settings, db_server_timeouts=False)
    assert "no lock_timeout, no statement_timeout; the service gives up after 3500 ms" in await seen_of(
        unlimited, Level.WARNING
    )


async def test_anonymous_sessions_are_found_if_callers_have_to_authenticate(
    settings: Settings, gateway: Gateway, statements: Statements
) -> None:
    sessions = PostgresSessionRepository(gateway, statements.sessions, BatchKeys())
    await sessions.add(session_at(), Script.of("1", 100))
    required = replace(settings, jwt_secret=Secret("s" * 32))
    assert "1 sessions belong to `anonymous`" in await seen_of(required, Level.WARNING)


async def test_a_replication_slot_without_a_reader_is_found(settings: Settings, server_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('doctors', true)")
        try:
            seen = await seen_of(settings, Level.WARNING)
        finally:
            connection.execute("SELECT pg_drop_replication_slot('doctors')")
    assert "replication slots have no reader: doctors" in seen


@pytest.fixture
def role(server_url: str) -> Iterator[Callable[[str], str]]:
    """Makes a role with these properties and returns its name."""
    made: list[str] = []

    def make(properties: str) -> str:
        made.append(f"doctor_{len(made)}")
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {made[-1]} {properties}")
        return made[-1]

    yield make
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP ROLE {name}")


class TestARoleWithoutRights:
    async def test_grants_on_the_tables_are_the_remedy(
        self, settings: Settings, change: Change, role: Callable[[str], str], run: Run, database_url: str
    ) -> None:
        name = role("LOGIN")
        weak = settings_for(make_conninfo(database_url, user=name), settings.data_dir)
        (found,) = await self.of_rights(weak)
        assert found.level is Level.PROBLEM
        assert found.seen.startswith(f"the role {name} lacks USAGE, DELETE, INSERT, SELECT, UPDATE, TRUNCATE on meta.")
        for command in (("storage",), ("explain", str(session_at().ref.session_id))):
            assert weak.database_url is not None
            result = run(*command, DATABASE_URL=weak.database_url.reveal())
            assert (result.returncode, result.stdout) == (1, "")
            assert (
                "permission denied for schema meta. Run `pglambda doctor`: it shows which rights to grant."
                in result.stderr
            )
            assert "Traceback" not in result.stderr
        change(*found.remedy.partition(" (")[0].split("; "))
        (found,) = await self.of_rights(weak)
        change(f"DROP OWNED BY {name}")
        assert found.level is Level.OK

    async def test_a_name_with_special_characters_is_quoted_in_the_remedy(
        self, settings: Settings, change: Change, server_url: str, database_url: str
    ) -> None:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute('CREATE ROLE "doctor-Strange" LOGIN')
            weak = settings_for(make_conninfo(database_url, user="doctor-Strange"), settings.data_dir)
            try:
                (found,) = await self.of_rights(weak)
                change(*found.remedy.partition(" (")[0].split("; "))
                (well,) = await self.of_rights(weak)
            finally:
                change('DROP OWNED BY "doctor-Strange"')
                connection.execute('DROP ROLE "doctor-Strange"')
        assert (well.level, well.seen) == (Level.OK, 'the role "doctor-Strange" has all rights that the service needs')

    async def test_a_role_that_cannot_create_the_schema_is_found(
        self, settings: Settings, role: Callable[[str], str], empty_database_url: str
    ) -> None:
        name = role("LOGIN")
        (found,) = await self.of_rights(at(settings, make_conninfo(empty_database_url, user=name)))
        database = conninfo_to_dict(empty_database_url)["dbname"]
        assert found.seen == f"the role {name} lacks CREATE on DATABASE {database}"

    async def test_a_role_that_cannot_apply_the_pending_migrations_is_found(
        self, settings: Settings, change: Change, role: Callable[[str], str], database_url: str
    ) -> None:
        weak = settings_for(make_conninfo(database_url, user=(name := role("LOGIN"))), settings.data_dir)
        rights = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE"
        change(
            "DELETE FROM meta.migrations WHERE version = 7",
            f"GRANT USAGE ON SCHEMA meta TO {name}; GRANT {rights} ON ALL TABLES IN SCHEMA meta TO {name}",
        )
        (found,) = [each for each in await examine(weak) if each.subject == "schema" and each.level is Level.PROBLEM]
        assert found.seen == "migrations are pending: 0007_shortened_days; another role owns the schema"
        owner = conninfo_to_dict(database_url)["user"]
        assert found.remedy == f"pglambda migrate up, with the role {owner} in DATABASE_URL"
        change(f"DROP OWNED BY {name}")

    @staticmethod
    async def of_rights(settings: Settings) -> list[Finding]:
        return [each for each in await examine(settings) if each.subject == "rights"]


class TestTheWayToTheDatabase:
    """Each obstacle has its own finding, and ends only the checks of the database."""

    @staticmethod
    async def obstacle(settings: Settings, **changed: str) -> str:
        assert settings.database_url is not None
        given = conninfo_to_dict(settings.database_url.reveal()) | changed
        (finding,) = await examine(at(settings, psycopg.conninfo.make_conninfo(**given)))
        assert finding.level is Level.PROBLEM
        return finding.seen

    async def test_an_unknown_host_name(self, settings: Settings) -> None:
        seen = await self.obstacle(settings, host="nobody.invalid")
        assert seen.startswith("no connection (name): the name 'nobody.invalid' cannot be resolved")

    async def test_a_closed_port(self, settings: Settings) -> None:
        port = free_port()
        seen = await self.obstacle(settings, host="127.0.0.1", port=str(port))
        assert seen == f"no connection (network): 127.0.0.1 port {port}: Connection refused"

    async def test_a_missing_socket(self, settings: Settings) -> None:
        seen = await self.obstacle(settings, host="/nowhere")
        assert seen == "no connection (network): /nowhere/.s.PGSQL.5432: No such file or directory"

    async def test_the_finding_names_the_first_of_several_unreachable_hosts(self, settings: Settings) -> None:
        seen = await self.obstacle(settings, host="/nowhere,/elsewhere", port="")
        assert "/nowhere/.s.PGSQL.5432" in seen

    async def test_one_reachable_host_of_several_is_enough(self, settings: Settings) -> None:
        assert settings.database_url is not None
        given = conninfo_to_dict(settings.database_url.reveal())
        given["host"] = f"/nowhere,{given['host']}"
        found = await examine(at(settings, psycopg.conninfo.make_conninfo(**given)))
        assert found[0].level is Level.OK

    async def test_an_unknown_database(self, settings: Settings) -> None:
        assert "no connection (database): " in await self.obstacle(settings, dbname="nothing")

    async def test_an_unknown_role(self, settings: Settings) -> None:
        assert "no connection (login): " in await self.obstacle(settings, user="stranger")

    async def test_a_role_without_free_connections(self, settings: Settings, role: Callable[[str], str]) -> None:
        assert "no connection (full): " in await self.obstacle(settings, user=role("LOGIN CONNECTION LIMIT 0"))

    async def test_an_invalid_address(self, settings: Settings) -> None:
        (finding,) = await examine(at(settings, "postgresql://user:pass word@host/x"))
        assert finding.seen.startswith("no connection (address): ")
        assert "pass word" not in finding.seen

    async def test_a_server_without_encryption_if_the_settings_require_it(
        self, silent: SilentServer, settings: Settings
    ):
        seen = await self.obstacle(settings, **conninfo_to_dict(silent.dsn) | {"sslmode": "require"})
        assert seen.startswith("no connection (tls): ")

    async def test_a_server_that_sends_no_greeting(self, silent: SilentServer, settings: Settings) -> None:
        silent.mute = True
        with within(4):
            seen = await self.obstacle(settings, **conninfo_to_dict(silent.dsn))
        assert seen.startswith("no connection (silence): ")

    @pytest.fixture
    async def silent(self) -> AsyncIterator[SilentServer]:
        server = SilentServer()
        await server.start()
        yield server
        await server.stop()

    async def test_a_silent_server_gets_no_further_statements(self, silent: SilentServer, settings: Settings) -> None:
        silent.silent = True
        with within(4):
            found = await examine(at(settings, silent.dsn))
        assert {each.level for each in found} == {Level.WARNING}
        assert found[0].seen == "could not be checked: the server was silent for 3 s"
        assert {each.seen for each in found[1:]} == {"could not be checked: the server has fallen silent"}


class TestRuntimeHosts:
    @staticmethod
    async def seen_of(settings: Settings) -> list[tuple[Level, str]]:
        checks = host_checks(HostInspector(settings, SystemClock()), settings)
        check = next(each for each in checks if each.subject.name == "runtime hosts")
        return [(each.level, each.seen) for each in await check.findings()]

    async def test_a_healthy_host_and_a_host_with_another_token(self, settings: Settings) -> None:
        listening, url = loopback_socket()
        host = HostApi(MemoryScriptRunner(), RuntimeHostOptions(bind="127.0.0.1", token="t" * 16))
        remote = replace(settings, python_runtime_url=(url,), runtime_token=Secret("t" * 16))
        async with served(host.app(), listening):
            assert await self.seen_of(remote) == [
                (Level.OK, f"{url} (python) is healthy, release {VERSION}"),
            ]
            other = replace(remote, runtime_token=Secret("other"))
            ((level, seen),) = await self.seen_of(other)
        assert level is Level.PROBLEM
        assert "401" in seen


async def test_a_language_without_an_interpreter_has_the_reason(settings: Settings, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.0.0\n")
    node.chmod(0o755)
    facts = await HostInspector(replace(settings, nodejs_path=node), SystemClock()).sandbox()
    assert facts is not None
    (nodejs,) = [each for each in facts.languages if each.language == "nodejs"]
    assert (nodejs.program, nodejs.version) == ("", "")
    assert "is not Node.js 20 or newer" in str(nodejs.failure)


async def test_an_inspection_of_a_host_creates_no_folder(settings: Settings, tmp_path: Path) -> None:
    absent = replace(settings, data_dir=tmp_path / "absent", python_runtime_url=("http://a",))
    assert (await host_facts(absent)).disk_free_bytes > 0
    facts = await HostInspector(absent, SystemClock()).sandbox()
    assert facts is not None
    assert [(each.name, each.failure) for each in facts.syntaxes] == [("ES modules", None), ("TypeScript", None)]
    assert not (tmp_path / "absent").exists()
