"""What speaks against a command that moves sessions, over sides that are described by hand."""

import os
import re
import subprocess
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from attrs import define, evolve, field
from dependency_injector import providers

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.audit import UNNAMED
from domain.takeover.inspection import SourceSchema, SourceServer
from domain.takeover.moving import Takeover
from domain.takeover.source import SourceAddress, SourceRefused
from domain.takeover.stages import Stage, TakeoverRefused
from domain.takeover.start import TakeoverStart
from entrypoints.cli.takeover.connecting import connected, has_ended, holder_of, without_origin
from entrypoints.cli.takeover.options import SourceChoice
from entrypoints.settings.loading import load_settings
from tests.support.commands import commands_with
from tests.unit.takeover.builders import COLUMNS, NOW, POLICY, SCHEMA, SERVER, table
from tests.unit.takeover.test_start import OPTIONS, TARGET

URL = "postgresql://mover@old/lambda"
SECOND = timedelta(seconds=1)


@define
class Sides:
    """The two databases, and a command between them."""

    source: SourceServer = SERVER
    target: SourceServer = TARGET
    schema: SourceSchema = SCHEMA
    ahead: timedelta = timedelta(0)
    store: MemoryTakeoverStore = field(factory=lambda: MemoryTakeoverStore(MemoryStore()))

    @asynccontextmanager
    async def inspector(self, address):
        is_source = address.dsn == URL

        async def clock_offset():
            return (self.ahead if is_source else timedelta(0)), timedelta(0)

        async def server():
            return self.source if is_source else self.target

        async def schema():
            return self.schema

        async def other_schemas():
            return {"old": True, "ours": False}

        async def written_by_older():
            return False

        yield SimpleNamespace(
            clock_offset=clock_offset,
            server=server,
            schema=schema,
            other_schemas=other_schemas,
            written_by_older=written_by_older,
        )

    def command(self, command: str, *, begins: bool = True, **options: bool):
        """Return the connections of a command, to be entered; `restored` and `dry_run` are its options."""
        make = commands_with(
            origin_inspector=providers.Callable(self.inspector),
            origin_sessions=providers.Callable(lambda *_, **__: nullcontext(None)),
            takeover_parts=providers.Object(SimpleNamespace(service=lambda _: None)),
            takeover_policy=providers.Object(POLICY),
            takeover_start=providers.Object(TakeoverStart(self.store, ManualClock(NOW), SequentialIds(), UNNAMED)),
        )
        commands = make(settings=load_settings({"DATABASE_URL": "postgresql://nobody/nothing"}))
        source = SourceChoice(SourceAddress(URL), None, options.pop("restored", False))
        return connected(commands, source, command, (lambda: OPTIONS) if begins else None, **options)

    def without_origin(self):
        """Return the connections of a command whose origin is lost, to be entered."""
        parts = SimpleNamespace(service=lambda _: None, lost_origin=lambda _: None)
        make = commands_with(
            takeover_parts=providers.Object(parts),
            takeover_start=providers.Object(TakeoverStart(self.store, ManualClock(NOW), SequentialIds(), UNNAMED)),
        )
        return without_origin(make(settings=load_settings({"DATABASE_URL": "postgresql://nobody/nothing"})))

    async def refusal(self, command: str = "adopt", *, begins: bool = True) -> str:
        """Return why a command does not run."""
        with pytest.raises((SourceRefused, TakeoverRefused)) as refused:
            async with self.command(command, begins=begins):
                pytest.fail("the command runs")
        return str(refused.value)


async def test_a_standby_accepts_no_command_that_moves_sessions():
    assert "is a standby" in await Sides(source=evolve(SERVER, is_standby=True)).refusal()


async def test_clocks_that_differ_by_more_than_five_seconds_are_refused():
    assert "differ by 6.0 s, and at most 5 s are allowed" in await Sides(ahead=-6 * SECOND).refusal()


@pytest.mark.parametrize(
    ("command", "rights", "grant"),
    [
        ("adopt", {"can_fence": False}, 'GRANT UPDATE (expires_at) ON "meta".sessions TO reader;'),
        ("back", {"can_insert": False, "can_update": False}, 'GRANT INSERT, UPDATE ON "meta".sessions TO reader;'),
        ("status", {"can_select": False}, 'GRANT SELECT ON "meta".sessions TO reader;'),
    ],
)
async def test_a_command_names_the_grants_that_it_lacks(command, rights, grant):
    sides = Sides(schema=evolve(SCHEMA, tables={"sessions": table(**rights)}))
    assert grant in await sides.refusal(command)


async def test_the_source_is_that_of_the_takeover_and_not_this_service():
    assert "There is no takeover here" in await Sides().refusal(begins=False)
    assert "is the database of the origin" in await Sides(target=SERVER).refusal()
    sides = Sides()
    takeover = Takeover(UUID(int=1), {"database": "other"}, OPTIONS.stored(), Stage.OPEN, NOW)
    await sides.store.begin(takeover)
    assert "not the source of the takeover that began here: database lambda instead of other" in await sides.refusal()


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (
            evolve(SCHEMA, tables={}, columns={}),
            r"The schema meta has no sessions.*Name one of these with --schema: old\.",
        ),
        (
            evolve(SCHEMA, columns={"language_title": COLUMNS["language_title"]}),
            "Columns are missing.*Restore the columns",
        ),
        (evolve(SCHEMA, tables={"sessions": table(kind="v")}), "Sessions is a view"),
        (evolve(SCHEMA, constraints=()), "Request_id is neither primary key nor unique"),
        (evolve(SCHEMA, tables={"sessions": table(hides_rows=True)}), "Row security hides rows"),
    ],
)
async def test_a_schema_with_a_problem_is_refused_before_a_takeover_begins(schema, told):
    sides = Sides(schema=schema)
    assert re.match(told, await sides.refusal("open"))
    assert await sides.store.takeover() is None


async def test_a_dry_run_tells_what_would_begin_and_stores_nothing():
    sides = Sides()
    async with sides.command("open", dry_run=True) as connection:
        assert connection.takeover.stage is Stage.LOOK
    assert await sides.store.takeover() is None


async def test_a_takeover_continues_with_the_database_to_which_the_origin_was_restored():
    sides = Sides()
    async with sides.command("open"):
        pass
    restored = Sides(evolve(SERVER, database_oid="9"), store=sides.store)
    await sides.store.change_stage(Stage.LOOK, Stage.OPEN, NOW)
    assert re.search("database_oid 9 instead of 16384.*with --restored", await restored.refusal())
    async with restored.command("adopt", begins=False, restored=True, dry_run=True) as connection:
        assert connection.takeover.source["database_oid"] == "9"
    assert "with --restored" in await restored.refusal()
    async with restored.command("adopt", begins=False, restored=True):
        pass
    async with restored.command("adopt", begins=False) as connection:
        assert connection.takeover.stage is Stage.OPEN


async def test_nothing_is_continued_without_a_takeover():
    with pytest.raises(TakeoverRefused, match="There is no takeover here"):
        async with Sides().command("adopt", begins=False, restored=True):
            pytest.fail("the command runs")


async def test_an_origin_that_is_lost_is_not_connected_to():
    sides = Sides()
    with pytest.raises(TakeoverRefused, match="There is no takeover here"):
        async with sides.without_origin():
            pytest.fail("the command runs")
    async with sides.command("open"):
        pass
    async with sides.without_origin() as connection:
        assert (connection.takeover.stage, connection.generations) == (Stage.LOOK, frozenset())


def test_a_process_that_has_ended_holds_no_claim():
    assert not has_ended(holder_of("adopt"))
    assert not has_ended("somebody else")
    name = holder_of("adopt")
    with subprocess.Popen(["true"]) as ended:
        pass
    assert has_ended(name.replace(f"process {os.getpid()}", f"process {ended.pid}"))
    assert has_ended(name.replace("started ", "started 1"))
    assert not has_ended(name.replace("started ", "started 1") + ".example.com")
