"""The commands `takeover copy` and `takeover verify`, over an origin and a service in memory."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta

import pytest
from attrs import define, evolve, field
from click.testing import CliRunner
from dependency_injector import providers

from adapters.memory.manual_clock import ManualClock
from adapters.memory.origin import MemoryOriginReader, MemoryStoredReader
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.audit import UNNAMED
from domain.identity import SHARED
from domain.storage.growth import StorageFacts
from domain.storage.storage import Amount, Part, StorageBudget, Stored
from domain.takeover.copying import Copier
from domain.takeover.fence import FENCE
from domain.takeover.source import SourceUnavailable
from domain.takeover.source_session import SourceSession
from domain.takeover.start import TakeoverStart
from domain.takeover.verifier import Verifier
from entrypoints.cli.main import cli
from tests.contracts.origin_reader import session
from tests.contracts.takeover_store import origin_id
from tests.support.commands import commands_with
from tests.support.origin_cache import ManualCache
from tests.unit.cli.takeover.test_functions import ManualImport
from tests.unit.takeover.builders import NOW, SCHEMA, SERVER, table
from tests.unit.takeover.test_cached import value
from tests.unit.takeover.test_functions import ROW

URL = "postgresql://reader:secret@old/lambda"
ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "TAKEOVER_SOURCE_URL": URL}
RESTORED = "postgresql://reader:secret@new/lambda"
OLD = "postgresql://reader:secret@older/lambda"
SOURCES = {
    URL: SERVER,
    RESTORED: evolve(SERVER, database_oid="9"),
    OLD: evolve(SERVER, version_number=100023),
}
DAY = timedelta(days=1)


@define
class ManualSurvey:
    """Measures this size."""

    size_bytes: int

    async def facts(self):
        parts = {part: Amount() for part in Part} | {Part.SESSIONS: Amount(self.size_bytes, 1)}
        return StorageFacts(Stored(parts, []), NOW, {}, None, 7, 1.0)


@define
class ManualServer:
    """Tells which database it is."""

    address: str
    tables: dict

    async def now(self):
        return NOW

    async def schema(self):
        return evolve(SCHEMA, tables=self.tables)

    async def server(self):
        return SOURCES.get(self.address, evolve(SERVER, system_identifier="78"))


@define
class Sides:
    """The origin, and what is stored here."""

    reader: MemoryOriginReader = field(factory=MemoryOriginReader)
    memory: MemoryStore = field(factory=MemoryStore)
    clock: ManualClock = field(factory=lambda: ManualClock(NOW))
    budget_bytes: int | None = None
    stored_bytes: int = 0
    shifts: list = field(factory=list)
    keys: dict = field(factory=dict)
    caches: list = field(factory=list)
    pauses: list = field(factory=list)
    imports: ManualImport = field(factory=ManualImport)
    tables: dict = field(factory=lambda: SCHEMA.tables)
    store: MemoryTakeoverStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = MemoryTakeoverStore(self.memory)

    def put(self, *rows: SourceSession) -> "Sides":
        self.reader.rows |= {row.request_id: row for row in rows}
        return self

    @asynccontextmanager
    async def origin_reader(self, address, shift=timedelta(0)):
        self.shifts.append(shift)
        self.reader.shift = shift
        yield self.reader

    @asynccontextmanager
    async def origin_cache(self, url):
        self.caches.append(url)
        yield ManualCache(self.keys)

    @asynccontextmanager
    async def inspector(self, address):
        yield ManualServer(address.dsn, self.tables)

    async def pause(self, span_s: float) -> None:
        """Let a session begin at the origin, or end the origin after the second pass."""
        self.pauses.append(span_s)
        self.put(session(8))
        if len(self.pauses) == 2:
            self.reader.failure = SourceUnavailable("it is being stopped.")

    def seals(self) -> dict[str, tuple[str, int]]:
        """Return the digest and the lines of the reports, by their commands."""
        seals = asyncio.run(self.store.takeover()).seals
        return {command: (seal.sha256, seal.lines) for command, seal in seals.items()}

    def run(self, *arguments: str, **env: str):
        container = commands_with(
            origin_inspector=providers.Callable(self.inspector),
            origin_reader=providers.Callable(self.origin_reader),
            origin_cache=providers.Callable(self.origin_cache),
            loaded_dump=providers.Callable(lambda path: nullcontext(f"unix://{path}")),
            origin_functions=providers.Callable(self.imports.origin),
            function_importer=providers.Callable(self.imports.importer),
            pause=providers.Object(self.pause),
            takeover_start=providers.Object(TakeoverStart(self.store, self.clock, SequentialIds(), UNNAMED)),
            copier=providers.Factory(Copier, store=self.store, clock=self.clock),
            verifier=providers.Factory(
                Verifier, stored=MemoryStoredReader(self.memory), store=self.store, clock=self.clock
            ),
            storage_budget=providers.Object(StorageBudget(self.budget_bytes, 7)),
            storage_survey=providers.Object(ManualSurvey(self.stored_bytes)),
        )
        return CliRunner().invoke(cli, ["takeover", *arguments], obj=container, env={**ENV, **env})


@pytest.fixture
def sides() -> Sides:
    return Sides().put(*[session(number) for number in range(3)])


def lines_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_sessions_are_copied_and_a_second_run_writes_nothing(sides):
    first, second = sides.run("copy"), sides.run("copy", "--output", "json")
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert first.stdout.startswith("Copied 3 of 3 sessions: 0 were stored already, 0 were taken before, 0 are left.")
    assert json.loads(second.stdout) == {
        "dry_run": False, "examined": 3, "written": 0, "unchanged": 3, "taken": 0, "size_bytes": 51, "left": {},
        "flagged": {},
    }  # fmt: skip
    assert len(sides.memory.inbound) == 3


def test_the_keys_of_redis_are_compared_with_what_was_copied(sides, tmp_path):
    sides.keys |= {str(origin_id(1)): value(request_id=str(origin_id(1)), execution_count=9), "x": "{}"}
    report = tmp_path / "report.jsonl"
    result = sides.run("copy", "--report", str(report), TAKEOVER_REDIS_URL="redis://old:6379")
    assert result.exit_code == 0
    assert "count differs" in result.stdout
    assert [line["redis"] for line in lines_of(report)] == [["count", "content"], "unreadable"]
    found = json.loads(sides.run("copy", "--output", "json", "--redis", "redis://old:6379").stdout)
    assert (found["redis"]["keys"], found["redis"]["unreadable"]) == (2, 1)


def test_a_dump_is_compared_with_what_was_copied(sides, tmp_path):
    dump = tmp_path / "old.rdb"
    dump.touch()
    result = sides.run("copy", "--rdb", str(dump))
    assert "a dump, as of its time" in result.stdout
    assert sides.caches == [f"unix://{dump}"]


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_session_that_has_moved_and_has_a_key_is_a_fault(sides, output):
    sides.run("copy")
    where = {"TAKEOVER_REDIS_URL": "redis://old:6379"}
    assert sides.run("verify", "--output", output, **where).exit_code == 0
    moved = sides.reader.rows[str(origin_id(1))]
    sides.put(evolve(moved, expires_at=moved.expires_at - FENCE))
    sides.keys[str(origin_id(1))] = value(request_id=str(origin_id(1)))
    result = sides.run("verify", "--output", output, **where)
    assert result.exit_code == 1
    assert "hidden" in result.stdout


def test_a_restored_origin_is_compared_and_copied_only_if_that_is_said(sides):
    sides.run("copy")
    for command in ("verify", "copy"):
        refused = sides.run(command, "--source", RESTORED)
        assert (refused.exit_code, "database_oid 9 instead of" in refused.stderr) == (1, True)
    compared = sides.run("verify", "--restored", "--source", RESTORED)
    assert (compared.exit_code, sides.store.changes) == (0, []), compared.stderr
    copied = sides.run("copy", "--restored", "--source", RESTORED, "--output", "json")
    assert (copied.exit_code, json.loads(copied.stdout)["unchanged"]) == (0, 3), copied.stderr
    assert [change.details["to"]["database_oid"] for change in sides.store.changes] == ["9"]
    assert sides.run("verify", "--source", RESTORED).exit_code == 0


def test_an_origin_without_sha256_is_copied_and_not_compared(sides):
    assert "Copied 3 of 3 sessions" in sides.run("copy", "--source", OLD).output
    refused = sides.run("verify", "--source", OLD)
    assert refused.exit_code == 1
    assert "PostgreSQL 10, and verify needs sha256" in refused.output
    assert "Restore a dump" in refused.output


@pytest.mark.parametrize("command", ["copy", "verify"])
def test_the_digest_of_a_report_is_stored_unless_it_is_a_dry_run(sides, tmp_path, command):
    report, dry = tmp_path / "report.jsonl", tmp_path / "dry.jsonl"
    sides.run("copy")
    sides.put(session(5, language_title="cobol"))
    sides.run(command, "--dry-run", "--report", str(dry))
    assert sides.seals() == {}
    sides.run(command, "--report", str(report))
    assert sides.seals() == {command: (hashlib.sha256(report.read_bytes()).hexdigest(), 1)}
    sides.run(command)
    assert list(sides.seals()) == [command]


def test_copies_follow_the_origin_until_the_command_ends(sides):
    result = sides.run("copy", "--follow")
    assert result.exit_code == 1
    assert "did not serve" in result.output
    assert [line.split(":")[0] for line in result.stderr.splitlines() if line.startswith("Copied")] == [
        "Copied 3 of 3 sessions",
        "Copied 1 of 4 sessions",
    ]
    assert sides.pauses == [5.0, 5.0]
    assert origin_id(8) in sides.memory.inbound


def test_a_dry_run_tells_the_same_and_stores_nothing(sides):
    result = sides.put(session(4, language_title="rust-x")).run("copy", "--dry-run")
    assert result.exit_code == 1
    assert "Would copy 3 of 4 sessions." in result.stdout
    assert "language_not_served" in result.stdout
    assert sides.memory.inbound == {}


def test_sessions_that_are_left_or_unusual_are_reported(sides, tmp_path):
    report = tmp_path / "left.jsonl"
    sides.put(session(4, language_title="rust-x"), session(5, execution_count=-1))
    result = sides.run("copy", "--report", str(report))
    assert result.exit_code == 1
    assert lines_of(report) == [
        {"request_id": str(origin_id(4)), "left": "language_not_served"},
        {"request_id": str(origin_id(5)), "flags": ["count_negative"]},
    ]
    assert "count_negative" in result.stdout
    assert report.stat().st_mode & 0o777 == 0o600


def test_expired_sessions_that_are_left_are_no_finding(sides):
    ended = session(4, expires_at=NOW - 3 * DAY, created_at=NOW - 4 * DAY)
    assert sides.put(ended).run("copy").exit_code == 0


def test_the_database_of_the_service_is_no_source(sides):
    result = sides.run("copy", DATABASE_URL=URL)
    assert result.exit_code == 1
    assert "database of this service" in result.output
    assert "secret" not in result.output


def test_the_copy_stops_before_the_budget_is_exceeded():
    sides = Sides(budget_bytes=1_000_000_000, stored_bytes=999_999_900).put(*[session(n) for n in range(9)])
    result = sides.run("copy")
    assert result.exit_code == 1
    assert "100 bytes are left" in result.output
    assert sides.memory.inbound == {}
    sides.stored_bytes = 0
    assert sides.run("copy").exit_code == 0


@pytest.mark.parametrize("size", ["0MiB", "8", "8 MiB", "1000MiB", "8GB"])
def test_a_wrong_size_of_a_batch_is_a_wrong_usage(sides, size):
    result = sides.run("copy", "--batch-bytes", size)
    assert result.exit_code == 2
    assert "is not a size of a batch" in result.output


def test_a_session_that_is_larger_than_a_batch_is_left(sides):
    sides.put(session(4, script_content="x" * 2000))
    result = sides.run("copy", "--batch-bytes", "1KiB", "--rate", "100000")
    assert "too_large" in result.stdout


def test_an_origin_that_is_away_is_told(sides):
    sides.run("copy")
    sides.reader.failure = SourceUnavailable("it is being stopped.")
    for command in ("copy", "verify"):
        result = sides.run(command)
        assert result.exit_code == 1
        assert "did not serve: it is being stopped." in result.output


def test_without_a_source_the_usage_is_wrong(sides):
    for command in ("copy", "verify"):
        assert sides.run(command, TAKEOVER_SOURCE_URL="").exit_code == 2


def test_both_sides_are_the_same_after_a_copy(sides):
    sides.run("copy")
    result = sides.run("verify")
    assert result.exit_code == 0, result.output
    assert "Compared 3 sessions of the origin." in result.stdout
    assert "       3  same" in result.stdout


def test_differences_are_listed_with_their_fields_and_make_the_exit_status_1(sides, tmp_path):
    report = tmp_path / "differences.jsonl"
    sides.put(session(4, language_title="rust-x"))
    sides.run("copy")
    sides.put(session(0, execution_count=9), session(6))
    result = sides.run("verify", "--output", "json", "--report", str(report))
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found == {
        "examined": 5,
        "verdicts": {"same": 2, "moved-on": 0, "left": 1, "differs": 1, "missing": 1, "extra": 0},
        "left": {"language_not_served": 1},
    }
    assert sorted(lines_of(report), key=lambda line: line["verdict"]) == [
        {"request_id": str(origin_id(0)), "verdict": "differs", "fields": ["execution_count"]},
        {"request_id": str(origin_id(4)), "verdict": "left", "reason": "language_not_served"},
        {"request_id": str(origin_id(6)), "verdict": "missing"},
    ]


def test_both_commands_know_the_fence_of_the_takeover(sides):
    sides.run("copy", "--dry-run")
    sides.run("copy")
    sides.run("verify")
    assert sides.shifts[0] == timedelta(0)
    assert sides.shifts[1] == sides.shifts[2] > 365_000 * DAY


def test_a_session_that_was_taken_is_no_copy_again(sides):
    sides.run("copy")
    ids = [origin_id(0)]
    asyncio.run(sides.store.take(ids, NOW))
    shift = sides.shifts[0]
    sides.put(session(0, expires_at=session(0).expires_at - shift))
    found = json.loads(sides.run("copy", "--expired", "all", "--output", "json").stdout)
    assert (found["taken"], found["left"]) == (1, {})


def test_there_is_nothing_to_compare_before_a_copy(sides):
    result = sides.run("verify")
    assert result.exit_code == 1
    assert "Run `pglambda takeover copy`" in result.output


def test_functions_are_compared_by_what_their_registration_would_do(sides, tmp_path):
    report = tmp_path / "differences.jsonl"
    sides.run("copy")
    result = sides.run("verify", "--functions", "--output", "json", "--report", str(report))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["functions"] == {
        "same": 0, "moved-on": 0, "left": 1, "differs": 1, "missing": 0, "extra": 0,
    }  # fmt: skip
    assert lines_of(report) == [
        {"language_title": "python-adder", "verdict": "differs"},
        {"language_title": "rust-x", "verdict": "left", "reason": "language_not_served"},
    ]
    assert sides.imports.asked == [(SHARED, 0), ("python-adder", True), ("rust-x", True)]


def test_functions_may_belong_to_an_owner_and_left_ones_are_no_fault(sides):
    sides.imports.rows = [evolve(ROW, language_title="rust-x")]
    sides.run("copy")
    result = sides.run("verify", "--functions", "--function-owner", "alice")
    assert result.exit_code == 0
    assert "Compared 1 function." in result.stdout
    assert sides.imports.asked[0] == ("alice", 0)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_view_is_not_copied_from(options):
    sides = Sides(tables={"sessions": table(kind="v")}).put(session(1))
    result = sides.run("copy", *options)
    assert result.exit_code == 1
    assert "Sessions is a view. Nothing can be fenced in it" in result.stderr
    assert asyncio.run(sides.store.takeover()) is None
