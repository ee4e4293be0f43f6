"""A takeover has one source and one choice of options, whatever command comes first."""

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.audit import ActName, Actor
from domain.takeover.languages import OriginLanguages
from domain.takeover.moving import Progress
from domain.takeover.options import TakeoverOptions
from domain.takeover.owners import AnonymousOwner
from domain.takeover.source import SourceRefused
from domain.takeover.source_session import Expired, Scriptless
from domain.takeover.stages import Stage, TakeoverRefused
from domain.takeover.start import TakeoverStart
from tests.unit.takeover.builders import NOW, SERVER

TARGET = evolve(SERVER, system_identifier="78", database_oid="5")
OPTIONS = TakeoverOptions(AnonymousOwner(), OriginLanguages(), Expired.RETAINED, Scriptless.LEAVE, honours_status=False)
ACTOR = Actor("operator@host", "cli")
OTHER = evolve(OPTIONS, expired=Expired.ALL)


class Starting:
    """A start over a fake store."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryTakeoverStore(MemoryStore()), ManualClock(NOW)
        self.start = TakeoverStart(self.store, self.clock, SequentialIds(), ACTOR)

    async def at(self, stage: Stage) -> "Starting":
        await self.start.begun(SERVER, TARGET, lambda: OPTIONS)
        await self.store.change_stage(Stage.LOOK, stage, NOW)
        return self


async def test_a_takeover_begins_with_its_source_and_options():
    takeover = await Starting().start.begun(SERVER, TARGET, lambda: OPTIONS)
    assert (takeover.source, takeover.options) == (SERVER.fingerprint, OPTIONS.stored())
    assert (takeover.stage, takeover.stage_at, takeover.progress) == (Stage.LOOK, NOW, {})


async def test_it_continues_with_the_same_source_and_options():
    starting = Starting()
    takeover = await starting.start.begun(SERVER, TARGET, lambda: OPTIONS)
    await starting.store.note("copy", Progress(passes=3))
    again = await starting.start.begun(SERVER, TARGET, lambda: OPTIONS)
    assert again == evolve(takeover, progress={"copy": Progress(passes=3)})
    assert await starting.start.stored(SERVER, TARGET) == again


async def test_the_database_of_the_service_is_no_source():
    starting = Starting()
    for refused in (starting.start.begun(SERVER, SERVER, lambda: OPTIONS), starting.start.stored(SERVER, SERVER)):
        with pytest.raises(SourceRefused, match="database of this service"):
            await refused
    assert await starting.store.takeover() is None


async def test_another_source_is_refused_by_what_differs():
    starting = await Starting().at(Stage.OPEN)
    other = evolve(SERVER, database="other", database_oid="9")
    for refused in (starting.start.begun(other, TARGET, lambda: OPTIONS), starting.start.stored(other, TARGET)):
        with pytest.raises(SourceRefused, match="database other instead of") as caught:
            await refused
        assert "database_oid 9 instead of" in str(caught.value)


async def test_what_a_role_may_not_see_is_not_compared():
    starting = await Starting().at(Stage.LOOK)
    assert await starting.start.stored(evolve(SERVER, system_identifier=None), TARGET) is not None


async def test_after_the_end_without_copies_another_source_can_be_taken_over():
    starting = await Starting().at(Stage.LOOK)
    other = evolve(SERVER, database_oid="9")
    assert (await starting.start.begun(other, TARGET, lambda: OPTIONS)).source == other.fingerprint
    with pytest.raises(SourceRefused):
        await starting.start.stored(SERVER, TARGET)


async def test_a_takeover_that_follows_its_restored_origin_records_both_sources():
    starting = await Starting().at(Stage.OPEN)
    await starting.store.note("copy", Progress(passes=3))
    restored = evolve(SERVER, database_oid="9")
    followed = await starting.start.follow(restored, TARGET, dry_run=True)
    assert (followed.source, starting.store.changes) == (restored.fingerprint, [])
    for _ in range(2):
        await starting.start.follow(restored, TARGET)
    assert (await starting.start.stored(restored, TARGET)).progress == {"copy": Progress(passes=3)}
    (change,) = starting.store.changes
    assert (change.act.name, change.act.actor) == (ActName.TAKEOVER_FOLLOW, ACTOR)
    assert change.details == {"from": dict(SERVER.fingerprint), "to": dict(restored.fingerprint)}


async def test_a_command_that_only_begins_keeps_the_options_of_before_and_chooses_none():
    starting = await Starting().at(Stage.OPEN)
    chosen = []
    takeover = await starting.start.begun(SERVER, TARGET, lambda: chosen.append(OTHER) or OTHER)
    assert (takeover.options, chosen) == (OPTIONS.stored(), [])


async def test_other_options_are_taken_until_a_session_is():
    starting = await Starting().at(Stage.OPEN)
    await starting.store.note("copy", Progress(passes=3))
    takeover = await starting.start.chosen(SERVER, TARGET, OTHER)
    assert (takeover.options, takeover.progress, takeover.stage) == (OTHER.stored(), {}, Stage.OPEN)


@pytest.mark.parametrize("stage", [Stage.ADOPT, Stage.BACK])
async def test_other_options_are_refused_once_a_session_was_taken(stage):
    starting = await Starting().at(stage)
    assert (await starting.start.chosen(SERVER, TARGET, OPTIONS)).stage is stage
    with pytest.raises(TakeoverRefused, match=f"in the stage {stage}"):
        await starting.start.chosen(SERVER, TARGET, OTHER)


async def test_the_last_report_of_each_command_is_sealed():
    starting = await Starting().at(Stage.ADOPT)
    for command, digest in (("copy", "a"), ("adopt", "b"), ("copy", "c")):
        await starting.start.seal(command, digest, 2)
    seals = (await starting.start.kept()).seals
    assert {command: (seal.sha256, seal.lines) for command, seal in seals.items()} == {
        "copy": ("c", 2),
        "adopt": ("b", 2),
    }
    assert seals["copy"].written_at == starting.clock.now().isoformat()


async def test_a_finished_takeover_is_followed_by_another_one():
    starting = await Starting().at(Stage.FINISHED)
    other = evolve(SERVER, database_oid="9")
    assert (await starting.start.begun(other, TARGET, lambda: OTHER)).source == other.fingerprint


async def test_there_may_be_no_takeover():
    with pytest.raises(TakeoverRefused, match="no takeover here"):
        await Starting().start.stored(SERVER, TARGET)
