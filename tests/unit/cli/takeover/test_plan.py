"""The command `takeover plan`, on an origin that is described by hand."""

import json
from contextlib import asynccontextmanager, nullcontext
from types import SimpleNamespace
from uuid import uuid4

import pytest
from attrs import define, evolve, field
from click import unstyle
from click.testing import CliRunner
from dependency_injector import providers

from adapters.memory.origin import MemoryOriginReader
from adapters.memory.script_runner import MemoryScriptRunner
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.errors import RuntimeUnavailable
from domain.functions.function import PinnedVersion
from domain.identity import ANONYMOUS, SessionRef, uuid7_at
from domain.scripts.convention import Convention
from domain.scripts.examination import ScriptFinding
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from domain.takeover.fence import FENCE
from domain.takeover.inspection import ReadSpeed, SourceCounts
from domain.takeover.scripts import MEANINGS
from domain.takeover.source import SourceRefused
from domain.takeover.source_session import FunctionScript
from domain.takeover.traps import TRAPS
from entrypoints.cli.main import cli
from tests.support.commands import commands_with
from tests.support.origin_cache import ManualCache
from tests.unit.domain.builders import session_at
from tests.unit.takeover.builders import HOUR, ID, NOW, SCHEMA, SERVER, head, row, table
from tests.unit.takeover.test_cached import value

URL = "postgresql://reader:secret@old/lambda"
ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "TAKEOVER_SOURCE_URL": URL}


@define
class ManualInspector:
    """The database at an address."""

    address: str
    origin: "ManualOrigin"
    dump_command: str = "pg_dump --dbname='host=old'"

    async def server(self):
        return SERVER if self.address == URL else evolve(SERVER, system_identifier="78")

    async def schema(self):
        return self.origin.schema

    async def other_schemas(self):
        return {"meta": True}

    async def clock_offset(self):
        return HOUR * 0, HOUR * 0

    async def now(self):
        return NOW

    async def counts(self, retained_after):
        return SourceCounts(live=len(self.origin.heads), retained=0, fenced=0, last_live=HOUR)

    async def heads(self, expired_after):
        self.origin.bounds.append(expired_after)
        yield self.origin.heads

    async def scripts(self, ids):
        return dict.fromkeys(ids, self.origin.script)

    async def read_speed(self):
        return ReadSpeed(100, 0.1)

    async def written_by_older(self):
        return False

    async def functions(self):
        return []

    async def logs(self):
        return {}


@define
class ManualExaminer:
    """Finds a logger in every script that has one; it reads at most one of them otherwise."""

    unavailable: str | None

    async def examine(self, language, sources):
        if self.unavailable is not None:
            raise RuntimeUnavailable(language, self.unavailable)
        return [
            [ScriptFinding("P4", line, "logger") for line in (1, 2)] if "logger" in text else None for text in sources
        ]


@define
class ManualOrigin:
    """An origin with these sessions, whose scripts are all this one."""

    heads: list = field(factory=lambda: [head(language_title="python-x")])
    script: str = "result = 1"
    schema: object = SCHEMA
    refusal: Exception | None = None
    unavailable: str | None = None
    bounds: list = field(factory=list)
    keys: dict = field(factory=dict)
    rows: dict = field(factory=dict)
    caches: list = field(factory=list)

    @asynccontextmanager
    async def inspector(self, address):
        if self.refusal is not None:
            raise self.refusal
        yield ManualInspector(address.dsn, self)

    @asynccontextmanager
    async def runners(self):
        yield {Language.PYTHON: MemoryScriptRunner(unavailable=self.unavailable)}

    @asynccontextmanager
    async def examiner(self):
        yield ManualExaminer(self.unavailable)

    @asynccontextmanager
    async def cache(self, url):
        self.caches.append(url)
        yield ManualCache(self.keys)

    @asynccontextmanager
    async def reader(self, address):
        yield MemoryOriginReader(self.rows)

    async def version(self, url):
        return "0.2.0"


async def with_one_function(policy):
    title = LanguageTitle(Language.NODEJS, "adder")
    function = FunctionScript(PinnedVersion(uuid4(), 1, title), Script.of("return 1;", 100), Convention.ORIGIN)
    return evolve(policy, functions={title: function})


def run(*arguments, origin=None, providing=None, **env):
    origin = origin or ManualOrigin()
    container = commands_with(
        origin_inspector=providers.Callable(origin.inspector),
        script_runners=providers.Callable(origin.runners),
        script_examiner=providers.Callable(origin.examiner),
        origin_version=providers.Callable(origin.version),
        origin_cache=providers.Callable(origin.cache),
        origin_reader=providers.Callable(origin.reader),
        with_shared_functions=providers.Callable(with_one_function),
        loaded_dump=providers.Callable(lambda path: nullcontext(f"unix://{path}")),
        **(providing or {}),
    )
    return CliRunner().invoke(cli, ["takeover", "plan", *arguments], obj=container, env={**ENV, **env})


def test_the_plan_tells_findings_counts_scripts_settings_and_stages():
    result = run()
    text = unstyle(result.stdout)
    assert result.exit_code == 0, result.output
    assert "variant A" in text
    assert "live sessions" in text
    assert "result  valid" in text
    assert all(name in text for name in TRAPS)
    assert "pg_dump" in text
    assert "6 end" in text
    assert max(map(len, text.splitlines())) < 200


def test_the_json_report_has_the_same_and_is_stable():
    result = run("--output", "json", ORIGIN_URL="http://old:8080")
    found = json.loads(result.stdout)
    assert list(found) == [
        "format", "version", "status", "source", "variant", "generations", "evidence", "clock_ahead_seconds", "counts",
        "taken", "left", "largest_bytes", "estimate", "scripts", "scripts_not_looked_at_sessions", "redis", "functions",
        "logs_rows_estimated", "grants", "findings", "settings", "backup", "stages",
    ]  # fmt: skip
    assert (found["format"], found["variant"], found["generations"]) == (1, "a", ["g3"])
    assert found["taken"]["live"] == 1
    assert found["scripts"][0]["checked"]
    assert "secret" not in result.output


def test_sessions_that_are_left_are_told_and_make_the_exit_status_1(tmp_path):
    report = tmp_path / "left.jsonl"
    origin = ManualOrigin(heads=[head(language_title="rust-x"), head(status="odd")])
    result = run("--report", str(report), origin=origin)
    assert result.exit_code == 1
    assert "left, 1 live session: language_not_served" in result.stdout
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert lines == [
        {"request_id": head().row.request_id, "left": "language_not_served"},
        {"request_id": head().row.request_id, "flags": ["status_ignored"]},
    ]
    assert report.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("is_migrated", [True, False])
def test_the_id_of_a_session_that_was_made_here_is_left(tmp_path, is_migrated):
    report, memory = tmp_path / "left.jsonl", MemoryStore()
    own, free = uuid7_at(NOW, 1), uuid7_at(NOW, 2)
    memory.sessions[own] = session_at(NOW, ref=SessionRef(ANONYMOUS, own))

    @asynccontextmanager
    async def opened():
        if not is_migrated:
            raise RuntimeError("the database has no migrations")
        yield

    providing = {
        "database_access": providers.Object(SimpleNamespace(opened=opened)),
        "takeover_parts": providers.Object(SimpleNamespace(store=MemoryTakeoverStore(memory))),
    }
    origin = ManualOrigin(heads=[head(request_id=str(each)) for each in (own, free)])
    result = run("--report", str(report), origin=origin, providing=providing)
    assert result.exit_code == int(is_migrated), result.output
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert ({"request_id": str(own), "left": "id_in_use"} in lines) is is_migrated
    assert {"request_id": str(free), "flags": ["id_looks_own"]} in lines


def test_a_report_is_not_overwritten(tmp_path):
    report = tmp_path / "left.jsonl"
    report.write_text("mine")
    result = run("--report", str(report))
    assert (result.exit_code, report.read_text()) == (2, "mine")
    assert "exists" in result.output


def test_a_command_that_fails_at_its_options_leaves_no_report(tmp_path):
    report = tmp_path / "left.jsonl"
    assert run("--report", str(report), "--owner", "user_id").exit_code == 2
    assert not report.exists()


def test_a_report_that_cannot_be_written_is_told(tmp_path):
    result = run("--report", str(tmp_path / "no" / "left.jsonl"))
    assert result.exit_code == 1
    assert "cannot be written" in result.output


def test_a_schema_that_cannot_be_read_ends_the_plan_with_its_findings():
    origin = ManualOrigin(schema=evolve(SCHEMA, tables={"sessions": table(can_select=False)}))
    result = run("--output", "json", origin=origin)
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["counts"], found["taken"], found["left"], found["scripts"]) == (None, None, None, [])
    assert found["grants"]["plan, copy, verify"] == ['GRANT SELECT ON "meta".sessions TO reader;']


def test_a_script_that_does_not_parse_is_told_and_taken():
    result = run("--output", "json", origin=ManualOrigin(script="def ("))
    (script,) = json.loads(result.stdout)["scripts"]
    assert script["fault"]
    assert result.exit_code == 0


def test_the_findings_about_the_text_of_a_script_are_told_by_their_code():
    result = run("--output", "json", origin=ManualOrigin(script="logger.info(1)\nresult = logger"))
    found = json.loads(result.stdout)
    assert found["scripts"][0]["codes"] == ["P4"]
    assert [each["why"] for each in found["findings"] if each["seen"].startswith("P4: 1")] == [MEANINGS["P4"]]


def test_a_sandbox_that_cannot_run_leaves_scripts_unchecked():
    result = run("--output", "json", origin=ManualOrigin(unavailable="no bubblewrap"))
    (script,) = json.loads(result.stdout)["scripts"]
    assert (script["checked"], script["codes"]) == (False, [])
    assert "could not be checked" in result.stdout


def test_a_language_without_runner_is_not_checked():
    result = run("--output", "json", origin=ManualOrigin(heads=[head()]))
    (script,) = json.loads(result.stdout)["scripts"]
    assert not script["checked"]


@pytest.mark.parametrize(
    ("expired", "bound"), [("none", NOW), ("retained", NOW - 24 * HOUR), ("all", NOW.replace(1500, 1, 1, 0))]
)
def test_the_sessions_that_are_read_are_those_that_are_taken(expired, bound):
    origin = ManualOrigin()
    run("--expired", expired, origin=origin)
    assert origin.bounds == [bound]


def test_the_keys_of_redis_are_compared_and_tell_the_generation():
    origin = ManualOrigin(keys={"a": value(), "b": "{}"})
    result = run("--redis", "redis://old", "--output", "json", origin=origin)
    found = json.loads(result.stdout)
    assert found["redis"] == {
        "keys": 2, "without_row": 1, "ended": 0, "hidden": 0, "unreadable": 1, "differing": {}, "of_dump": False
    }  # fmt: skip
    assert found["generations"] == ["g1"]
    assert "Redis has 2 keys session:* with a time to live; only generation 1 makes them." in found["evidence"]


def test_a_session_that_the_origin_serves_although_it_has_moved_is_a_finding():
    stored_at = NOW - FENCE
    moved = ManualOrigin(keys={ID: value()}, rows={ID: row(expires_at=stored_at)})
    found = json.loads(run("--redis", "redis://old", "--output", "json", origin=moved).stdout)
    assert found["redis"]["hidden"] == 1
    assert "Generation 1 serves them from Redis all the same." in [each["why"] for each in found["findings"]]


def test_a_redis_without_keys_is_none_of_the_origin():
    found = json.loads(run("--output", "json", TAKEOVER_REDIS_URL="redis://old").stdout)
    assert "Unset TAKEOVER_REDIS_URL." in [each["remedy"] for each in found["findings"]]


def test_a_dump_is_read_as_a_redis(tmp_path):
    origin, dump = ManualOrigin(), tmp_path / "dump.rdb"
    dump.touch()
    result = run("--rdb", str(dump), "--output", "json", origin=origin)
    assert json.loads(result.stdout)["redis"]["of_dump"] is True
    assert origin.caches == [f"unix://{dump}"]


def test_a_generation_without_redis_asks_none():
    origin = ManualOrigin()
    assert (
        json.loads(run("--redis", "redis://old", "--generation", "g3", "--output", "json", origin=origin).stdout)[
            "redis"
        ]
        is None
    )
    assert origin.caches == []


def test_a_source_that_refuses_ends_the_command_with_its_words():
    result = run(origin=ManualOrigin(refusal=SourceRefused("It is SQL_ASCII.", remedy="Restore it.")))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "It is SQL_ASCII. Restore it." in result.stderr


@pytest.mark.parametrize("database_url", [ENV["DATABASE_URL"], ""], ids=["a database", "no database yet"])
def test_sessions_without_a_script_are_pinned_to_functions_that_are_registered(database_url, tmp_path):
    origin = ManualOrigin(heads=[head(None)])
    given = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}
    found = json.loads(run("--scriptless", "pin", "--output", "json", origin=origin, **given).stdout)
    if database_url:
        assert (found["taken"]["live"], found["taken"]["flags"]) == (1, {"script_pinned": 1})
    else:
        assert found["left"]["live"] == {"no_script": 1}


@pytest.mark.parametrize("source", ["postgresql://reader:secret%@old/lambda", "host=old secret"])
def test_an_address_of_another_form_is_a_wrong_argument(tmp_path, source):
    env = {"DATA_DIR": str(tmp_path), "DATABASE_URL": ""}
    result = CliRunner().invoke(cli, ["takeover", "plan", "--source", source], env=env)
    assert (result.exit_code, "secret" in result.output) == (2, False)
    assert "Set --source or TAKEOVER_SOURCE_URL to postgresql://" in result.output


def test_without_a_source_the_usage_is_wrong():
    result = run(TAKEOVER_SOURCE_URL="")
    assert result.exit_code == 2
    assert "--source or TAKEOVER_SOURCE_URL" in result.output


def test_without_a_database_of_its_own_the_plan_tells_what_was_not_compared(tmp_path):
    result = run("--output", "json", DATABASE_URL="", DATA_DIR=str(tmp_path))
    assert result.exit_code == 0
    assert "this service has no database yet" in result.output


class TestOptions:
    def refused(self, *arguments, **env):
        result = run(*arguments, **env)
        assert result.exit_code == 2
        return result.output

    def test_with_authentication_sessions_need_an_owner(self):
        assert "nobody could use the sessions" in self.refused(AUTH="required")

    def test_without_authentication_every_session_is_anonymous(self):
        assert "every caller is anonymous" in self.refused("--owner", "user_id")

    def test_labels_need_a_default(self):
        assert "--default-owner" in self.refused("--owner", "user_id", AUTH="required")

    def test_an_owner_file_is_read_whole_before_anything_else(self, tmp_path):
        path = tmp_path / "owners.csv"
        path.write_text("user_id,owner\nu1,*\n")
        assert "line 2: '*' is reserved" in self.refused("--owner", str(path), AUTH="required")
        assert "No such file" in self.refused("--owner", str(tmp_path / "none"), AUTH="required")
        path.write_bytes(b"\xff")
        assert "it is not UTF-8 at byte 1" in self.refused("--owner", str(path), AUTH="required")

    def test_owners_of_labels_and_files_are_those_of_the_sessions(self, tmp_path):
        path = tmp_path / "owners.csv"
        path.write_text("user_id,owner\nu1,alice\n")
        origin = ManualOrigin(heads=[head(user_id="u1")])
        for arguments, owner in (
            (["--owner", str(path)], "alice"),
            (["--owner", "user_id", "--default-owner", "bob"], "u1"),
        ):
            found = json.loads(run(*arguments, "--output", "json", origin=origin, AUTH="required").stdout)
            assert found["taken"]["owners"] == {owner: 1}

    def test_a_mapping_file_decides_the_language(self, tmp_path):
        path = tmp_path / "mappings.json"
        path.write_text('[{"pattern": "ml", "runtime_type": "python", "is_regex": false}]')
        origin = ManualOrigin(heads=[head(language_title="a-ml-b")])
        found = json.loads(run("--mappings", str(path), "--output", "json", origin=origin).stdout)
        assert found["taken"]["languages"] == {"python": 1}
        path.write_text("{}")
        assert "it is not a list" in self.refused("--mappings", str(path))

    def test_a_time_zone_is_a_name_of_the_database_of_zones(self):
        assert "no time zone" in self.refused("--timezone", "Mars/Olympus")
        assert run("--timezone", "Asia/Tokyo").exit_code == 0

    def test_a_generation_that_is_named_counts(self):
        assert json.loads(run("--generation", "g1", "--output", "json").stdout)["generations"] == ["g1"]
