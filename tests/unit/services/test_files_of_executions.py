"""Files of executions: given, collected, and seen if and only if the execution is counted."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, evolve, field
from typing_extensions import override

from domain.audit import Actor
from domain.errors import DomainError, InvalidRequest, QuotaReached, StorageUnavailable
from domain.executions.execution import Executed, ExecutionFailed, ExecutionNotStored
from domain.executions.service import ExecutionService
from domain.files.asked import AskedFile, AskedFiles
from domain.files.file import FileExpired, FileNotFound, NewFile, StorageFull, StoredFile
from domain.files.service import FileService
from domain.grants.files import FilesGrant
from domain.grants.grants import Grants
from domain.grants.secrets import SecretsGrant
from domain.grants.state import SaveOn, StateGrant, StateMode
from domain.idempotency import IdempotencyKey
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import JsonText
from domain.queue.entry import AcceptOptions, Entry
from domain.queue.submission import Start
from domain.scripts.report import ExecutionStatus, ExecutionUnknown, FailureCode
from domain.secrets.secret import SecretRef
from domain.secrets.service import SecretRequest, SecretService
from tests.support.waiting import until
from tests.unit.services.conftest import World
from tests.unit.services.later import Later
from tests.unit.services.test_files import chunks

PARAMS = JsonText("{}")
GRANTS = Grants(files=FilesGrant(1))
ALL = AskedFiles(collect=True)
RUNS = "result = 1"
FAILS = "raise ValueError(1)"
READS = "result = [open(path).read().decode() for path in params]"
KEY = IdempotencyKey("k", "0" * 64)


@define(eq=False)
class FilesWorld(World):
    """One container for all services, so that a test sees what the executions have counted."""

    files_service: FileService = field(init=False)
    service: ExecutionService = field(init=False)
    secret_service: SecretService = field(init=False)

    @override
    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        container = self.container
        self.files_service, self.service = container.files(), container.executions()
        self.secret_service = container.secrets()

    def fail(self, failure: DomainError) -> None:
        """Let every call of the files' repository fail from now on."""
        self.files.failure = failure


@pytest.fixture
def world() -> FilesWorld:
    return FilesWorld()


async def a_session(world: FilesWorld, source: str = RUNS, grants: Grants = GRANTS) -> SessionRef:
    return await world.session(source, grants=grants)


async def upload(world: FilesWorld, content: bytes = b"content") -> StoredFile:
    return await world.files_service.upload(ANONYMOUS, NewFile("a.csv", size=len(content)), chunks(content))


def leaving(files: dict[str, bytes], then: str = RUNS) -> str:
    """Return a script that leaves these files, by their paths, and ends so."""
    writes = [f"with open('/files/out/{path}', 'wb') as file: file.write({each!r})" for path, each in files.items()]
    return "\n".join([*writes, then])


async def execute_while(world: FilesWorld, ref: SessionRef, change: Callable[[], None]) -> Executed:
    """Execute, with this change before the script runs."""
    world.runner.hold()
    call = asyncio.ensure_future(execute(world, ref))
    await until(lambda: world.runner.running == 1)
    change()
    world.runner.let_go()
    return await call


async def execute(world: FilesWorld, ref: SessionRef, asked: AskedFiles | None = ALL, **more: Any) -> Executed:
    return await world.service.execute(ref, PARAMS, files=asked, **more)


async def stored(world: FilesWorld) -> dict[str, StoredFile]:
    await world.tasks.drain(5)
    page = await world.files_service.page(ANONYMOUS, None, 50)
    return {each.name: each for each in page.items}


async def test_a_script_finds_uploads_and_files_of_the_request(world: FilesWorld) -> None:
    ref, uploaded = await a_session(world, READS), await upload(world)
    given = AskedFile("data/a.csv", uploaded.file_id), AskedFile("b", content=b"inline")
    paths = JsonText('["/files/in/data/a.csv", "/files/in/b"]')
    executed = await world.service.execute(ref, paths, files=AskedFiles(given))
    assert executed.report.result == '["content","inline"]'
    assert executed.report.files is None
    (row,) = (await world.history_service.page(ref, None, 10)).items
    in_history = [
        {"path": "data/a.csv", "file_id": str(uploaded.file_id), "bytes": 7},
        {"path": "b", "bytes": 6},
    ]
    assert json.loads(row.uses or "") == {"files": {"in": in_history}}
    assert world.files_service.stats.given_bytes == 7


async def test_what_a_script_leaves_is_stored_with_its_count(world: FilesWorld) -> None:
    ref = await a_session(world, leaving({"plots/a.png": b"png", "b.txt": b""}))
    executed = await execute(world, ref)
    found = await stored(world)
    assert executed.execution_count == 1
    assert [(each.path, each.size, each.content_type) for each in executed.report.files or ()] == [
        ("plots/a.png", 3, "image/png"),
        ("b.txt", 0, "text/plain"),
    ]
    assert {each.file_id for each in executed.report.files or ()} == {each.file_id for each in found.values()}
    assert {(each.session_id, each.execution_id) for each in found.values()} == {
        (ref.session_id, executed.execution_id)
    }
    (row,) = (await world.history_service.page(ref, None, 10)).items
    assert json.loads(row.uses or "")["files"]["out"] == [each.facts() for each in executed.report.files or ()]
    stats = world.files_service.stats
    assert (stats.left, stats.left_bytes, stats.lost) == (2, 3, 0)


@pytest.mark.parametrize(
    ("collect", "paths"), [(("*.txt",), ["b.txt"]), ((), []), (True, ["plots/a.png", "b.txt"]), (False, None)]
)
async def test_a_call_says_what_is_collected(
    world: FilesWorld, collect: bool | tuple[str, ...], paths: list[str] | None
) -> None:
    ref = await a_session(world, leaving({"plots/a.png": b"png", "b.txt": b"text"}))
    executed = await execute(world, ref, AskedFiles(collect=collect))
    files = executed.report.files
    assert (None if files is None else [each.path for each in files]) == paths


async def test_a_session_with_files_runs_without_any(world: FilesWorld) -> None:
    executed = await execute(world, await a_session(world), None)
    assert (executed.report.files, executed.report.result) == (None, "1")


async def test_a_session_without_files_takes_none(world: FilesWorld) -> None:
    for ref in (await world.session(RUNS), await world.session(RUNS, grants=Grants(StateGrant(StateMode.SHARED)))):
        with pytest.raises(InvalidRequest, match="the session has no files"):
            await execute(world, ref)
        assert (await world.session_service.get(ref)).execution_count == 0
    assert not world.store.open_executions


async def test_files_that_are_not_there_or_too_large_start_nothing(world: FilesWorld) -> None:
    ref, uploaded = await a_session(world), await upload(world)
    large = AskedFiles((AskedFile("a", content=bytes(1 << 20)), AskedFile("b", content=b"b")))
    with pytest.raises(InvalidRequest, match=r"files\.size_mb allows 1048576"):
        await execute(world, ref, large)
    with pytest.raises(FileNotFound):
        await execute(world, ref, AskedFiles((AskedFile("a", ref.session_id),)))
    longer = await world.session(RUNS, grants=GRANTS, ttl_seconds=1000)
    file = world.files.completed[uploaded.file_id]
    world.files.completed[uploaded.file_id] = evolve(file, expires_at=world.clock.now())
    with pytest.raises(FileExpired):
        await execute(world, longer, AskedFiles((AskedFile("a", uploaded.file_id),)))
    await world.tasks.drain(5)
    assert (world.runner.ran, world.store.open_executions) == ([], {})


async def test_a_file_whose_content_is_removed_before_its_delivery_starts_nothing(world: FilesWorld) -> None:
    ref, uploaded = await a_session(world), await upload(world)
    world.files.chunks.clear()
    with pytest.raises(FileNotFound):
        await execute(world, ref, AskedFiles((AskedFile("a", uploaded.file_id),)))
    assert world.runner.ran == []


async def test_files_of_a_script_that_failed_are_kept(world: FilesWorld) -> None:
    ref = await a_session(world, leaving({"log": b"what happened"}, FAILS))
    with pytest.raises(ExecutionFailed) as failed:
        await execute(world, ref)
    (file,) = (await stored(world)).values()
    assert failed.value.details["files"] == [
        {
            "path": "log",
            "file_id": str(file.file_id),
            "bytes": 13,
            "sha256": file.sha256,
            "content_type": "application/octet-stream",
        }
    ]


async def test_files_beyond_the_grant_fail_the_execution(world: FilesWorld) -> None:
    ref = await a_session(world, "with open('/files/out/log', 'wb') as file: file.write(bytes((1 << 20) + 1))")
    with pytest.raises(ExecutionFailed) as failed:
        await execute(world, ref)
    assert (failed.value.code, failed.value.execution_count) == ("FILES_TOO_LARGE", 1)
    assert await stored(world) == {}


@pytest.mark.parametrize("then", [RUNS, FAILS])
async def test_files_that_cannot_be_stored_are_lost_and_the_execution_counts(world: FilesWorld, then: str) -> None:
    ref = await a_session(world, leaving({"a": b"a", "b": b"b"}, then))
    with pytest.raises(ExecutionFailed) as failed:
        await execute_while(world, ref, lambda: world.fail(QuotaReached("stored_file_bytes", 2, 9)))
    world.files.failure = None
    details = failed.value.details
    assert failed.value.execution_count == 1
    assert "files" not in details
    assert await stored(world) == {}
    assert world.files_service.stats.lost == 1
    if then == FAILS:
        assert failed.value.code == "SCRIPT_ERROR"
        return
    assert failed.value.code == "FILES_LOST"
    assert (details["executed"], details["limit"], details["observed"]) == ("yes", 2, 9)
    assert "MAX_FILES_MB_PER_OWNER allows 2" in failed.value.message


async def test_an_execution_that_lost_its_files_saves_no_state(world: FilesWorld) -> None:
    grants = evolve(GRANTS, state=StateGrant(StateMode.EXCLUSIVE, SaveOn.ALWAYS))
    ref = await a_session(world, leaving({"a": b"a"}, "event['state']['n'] = 1"), grants)
    with pytest.raises(ExecutionFailed) as failed:
        await execute_while(world, ref, lambda: world.fail(StorageUnavailable()))
    assert failed.value.failure.code is FailureCode.FILES_LOST
    assert world.store.states[ref.session_id].text == "{}"


async def test_files_of_an_execution_that_does_not_count_are_not_seen(world: FilesWorld) -> None:
    ref = await a_session(world, leaving({"a": b"a"}))
    with pytest.raises(ExecutionNotStored, match="no longer has a record of it"):
        await execute_while(world, ref, world.store.open_executions.clear)
    assert await stored(world) == {}


async def test_a_repeated_call_gets_the_files_of_the_first_one(world: FilesWorld) -> None:
    ref = await a_session(world, leaving({"a": b"a"}))
    first = await execute(world, ref, idempotency_key=KEY)
    again = await execute(world, ref, idempotency_key=KEY)
    assert again == evolve(first, replayed=True)
    assert len(await stored(world)) == 1


async def test_a_file_name_shows_no_secret(world: FilesWorld) -> None:
    await world.secret_service.put(
        SecretRef(ANONYMOUS, "API_KEY"), SecretRequest("correct-horse"), Actor("anonymous", "127.0.0.1")
    )
    grants = evolve(GRANTS, secrets=SecretsGrant(("API_KEY",)))
    ref = await a_session(world, leaving({"d/correct-horse.txt": b"a"}), grants)
    executed = await execute(world, ref)
    assert [each.path for each in executed.report.files or ()] == ["d/[secret API_KEY].txt"]
    assert [*await stored(world)] == ["[secret API_KEY].txt"]


async def test_a_refusal_of_a_file_name_shows_no_secret(world: FilesWorld) -> None:
    await world.secret_service.put(
        SecretRef(ANONYMOUS, "API_KEY"), SecretRequest("größe-horse"), Actor("anonymous", "127.0.0.1")
    )
    grants = evolve(GRANTS, secrets=SecretsGrant(("API_KEY",)))
    ref = await a_session(world, leaving({r"größe-horse\n": b"a"}), grants)
    with pytest.raises(ExecutionFailed) as failed:
        await execute(world, ref)
    assert failed.value.code == "FILES_REFUSED"
    failure = failed.value.report.failure
    assert failure is not None
    assert "because of [secret API_KEY]\\n: its path has a character" in failure.message


async def test_a_purge_ends_with_the_files_that_a_script_leaves(world: FilesWorld) -> None:
    ref = await a_session(world, leaving({"a": b"a"}))
    with pytest.raises(ExecutionFailed, match="purged meanwhile"):
        await execute_while(world, ref, lambda: world.fail(FileNotFound()))
    assert world.files.started == {}


async def accepted(later: Later, ref: SessionRef, asked: AskedFiles, **start: Any) -> Entry:
    return await later.add(ref, "{}", options=AcceptOptions(files=asked), **start)


async def test_an_execution_that_runs_later_has_its_files(world: FilesWorld) -> None:
    later, uploaded = Later(world), await upload(world)
    ref = await a_session(world, leaving({"a": b"left"}, "result = open('/files/in/u').read().decode()"))
    entry = await accepted(later, ref, AskedFiles((AskedFile("u", uploaded.file_id),), collect=True))
    async with later.dispatching():
        ended = await later.ended(entry)
    assert ended.report is not None
    assert (ended.report.result, [each.path for each in ended.report.files or ()]) == ('"content"', ["a"])
    assert set(await stored(world)) == {"a", "a.csv"}


@pytest.mark.parametrize("grants", [None, Grants(state=StateGrant(StateMode.SHARED))])
async def test_a_session_without_files_accepts_none_to_run_later(world: FilesWorld, grants: Grants | None) -> None:
    later, ref = Later(world), await world.session(RUNS, grants=grants)
    with pytest.raises(InvalidRequest, match="the session has no files"):
        await accepted(later, ref, ALL)
    assert not world.store.queued


async def test_files_that_a_later_run_cannot_have_are_refused_at_once(world: FilesWorld) -> None:
    later, uploaded = Later(world), await upload(world)
    ref = await world.session(RUNS, grants=GRANTS, ttl_seconds=1000)
    with pytest.raises(InvalidRequest, match=r"files\.size_mb allows"):
        await accepted(later, ref, AskedFiles((AskedFile("a", content=bytes((1 << 20) + 1)),)))
    with pytest.raises(FileNotFound):
        await accepted(later, ref, AskedFiles((AskedFile("a", ref.session_id),)))
    world.files.completed[uploaded.file_id] = evolve(uploaded, expires_at=world.clock.now() + timedelta(seconds=9))
    given = AskedFiles((AskedFile("b"), AskedFile("a", uploaded.file_id)))
    with pytest.raises(InvalidRequest, match="/files/1/file_id: must be kept longer"):
        await accepted(later, ref, given, start=Start(timedelta(seconds=9)))
    assert await accepted(later, ref, given, start=Start(timedelta(seconds=8)))


async def test_a_later_run_whose_file_is_gone_expires_at_once_and_holds_up_none_behind_it(world: FilesWorld) -> None:
    later, uploaded = Later(world), await upload(world)
    ref = await a_session(world)
    options = AcceptOptions(in_order=True, files=AskedFiles((AskedFile("a", uploaded.file_id),)))
    entry = await later.add(ref, "{}", options=options)
    behind = await later.add(ref, "{}", options=AcceptOptions(in_order=True))
    await world.files_service.remove(ANONYMOUS, uploaded.file_id)
    async with later.dispatching():
        assert (await later.ended(behind)).status is ExecutionStatus.SUCCEEDED
    assert entry.execution_id not in world.store.queued
    state = await later.service.wait(ANONYMOUS, entry.execution_id, 0)
    assert state.status is ExecutionStatus.EXPIRED
    assert world.runner.ran == [behind.execution_id]


async def test_what_a_run_left_whose_end_is_unknown_is_erased(world: FilesWorld) -> None:
    ref = await a_session(world, leaving({"a": b"a"}))
    world.runner.unknown_next = "the runtime disconnected"
    with pytest.raises(ExecutionUnknown):
        await execute(world, ref)
    assert await stored(world) == {}
    assert world.files.started == {}
    assert world.files.chunks == {}


async def test_an_erased_execution_leaves_no_file(world: FilesWorld) -> None:
    later, ref = Later(world), await a_session(world, leaving({"a": b"a"}))
    entry = await accepted(later, ref, ALL)
    async with later.dispatching():
        await later.ended(entry)
    assert len(await stored(world)) == 1
    await later.service.erase(ANONYMOUS, entry.execution_id, Actor("anonymous", "127.0.0.1"))
    assert await stored(world) == {}
    assert world.store.history[entry.execution_id].uses == "{}"


async def test_a_later_run_that_cannot_have_its_grants_now_returns_to_the_queue_for_a_moment(world: FilesWorld) -> None:
    later, ref = Later(world), await a_session(world)
    stored_session = world.store.sessions[ref.session_id]
    world.store.put(evolve(stored_session, grants=evolve(GRANTS, unknown=("teleport",))))
    entry = await later.add(ref, "{}")
    async with later.dispatching():
        await until(lambda: later.queue.put_backs == 1)
        await until(lambda: not later.dispatcher.held)
    due_at = world.clock.now() + timedelta(seconds=1)
    assert world.store.accepted[entry.execution_id].not_before == due_at


async def test_files_that_find_no_room_on_disk_are_lost_with_the_limit(world: FilesWorld) -> None:
    ref = await a_session(world, leaving({"a": b"a"}))
    with pytest.raises(ExecutionFailed, match="MAX_FILES_GB allows 10") as failed:
        await execute_while(world, ref, lambda: world.fail(StorageFull(10, 9)))
    world.files.failure = None
    assert (failed.value.code, failed.value.details["executed"]) == ("FILES_LOST", "yes")
    assert await stored(world) == {}


async def test_the_files_of_a_session_that_is_closed_while_its_script_runs_are_kept_with_the_count(
    world: FilesWorld,
) -> None:
    ref = await a_session(world, leaving({"a": b"a"}))
    world.runner.hold()
    call = asyncio.ensure_future(execute(world, ref))
    await until(lambda: world.runner.running == 1)
    assert await world.container.sessions().close(ref)
    world.runner.let_go()
    executed = await call
    assert executed.execution_count == 1
    assert [each.path for each in executed.report.files or ()] == ["a"]
    assert [*await stored(world)] == ["a"]
