"""Scripts with files: what they find below /files/in, and what is collected below /files/out."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typing_extensions import override

from adapters.sandbox.options import NodeStart
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.selftest.files import TrialFiles, given_file
from adapters.sandbox.selftest.packages import HostilePackages
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import SessionRef
from domain.scripts.files import GivenFile, LeftFile, RunFiles
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner, Worker
from domain.scripts.report import FailureCode, ScriptReport
from domain.scripts.syntax import Syntax
from tests.contracts.script_runs import new_session, report_of, run_of
from tests.integration.sandbox.conftest import Opened

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

PYTHON, NODEJS = Language.PYTHON, Language.NODEJS
BOTH = pytest.mark.parametrize("language", [PYTHON, NODEJS])
LARGE = bytes(range(256)) * 2500
PRELUDE = {PYTHON: "import os\n", NODEJS: "const fs = require('fs');\n"}


async def report(
    runner: ScriptRunner, language: Language, source: str, files: RunFiles | None, ref: SessionRef | None = None
) -> ScriptReport:
    return await report_of(runner, run_of(PRELUDE[language] + source, language=language, files=files, ref=ref))


COPIES = {
    PYTHON: (
        "os.makedirs('/files/out/plots/more')\n"
        "open('/files/out/plots/more/é.bin', 'wb').write(open('/files/in/data/large.bin', 'rb').read())\n"
        "open('/files/out/empty', 'w').close()\nprint('done', end='')\n"
        "result = sorted(os.listdir('/files/in')) + [os.path.getsize('/files/in/empty')]"
    ),
    NODEJS: (
        "fs.mkdirSync('/files/out/plots/more', { recursive: true });\n"
        "fs.writeFileSync('/files/out/plots/more/é.bin', fs.readFileSync('/files/in/data/large.bin'));\n"
        "fs.writeFileSync('/files/out/empty', '');\nconsole.log('done');\n"
        "return [...fs.readdirSync('/files/in').sort(), fs.statSync('/files/in/empty').size];"
    ),
}
GIVEN = (given_file("data/large.bin", LARGE), given_file("empty", b""), given_file("data/small", b"small"))
LEFT = {
    PYTHON: "result = [sorted(os.listdir(each)) for each in ('/files', '/files/in', '/files/out')]",
    NODEJS: "return ['/files', '/files/in', '/files/out'].map((each) => fs.readdirSync(each).sort());",
}


@BOTH
async def test_a_script_finds_its_files_and_leaves_others_and_its_warm_worker_has_none(
    shared: ScriptRunner, language: Language
) -> None:
    ref, sink = new_session(), TrialFiles()
    found = await report(shared, language, COPIES[language], RunFiles(16, GIVEN, sink), ref)
    assert (found.failure, found.stdout.strip()) == (None, "done")
    assert json.loads(found.result or "") == ["data", "empty", 0]
    assert sink.kept == {"empty": b"", "plots/more/é.bin": LARGE}
    after = await report(shared, language, LEFT[language], RunFiles(16), ref)
    assert (json.loads(after.result or ""), after.cold_start) == ([["in", "out"], [], []], False)


FAILS = {
    PYTHON: "open('/files/out/kept', 'w').write('kept')\nraise ValueError('no')",
    NODEJS: "fs.writeFileSync('/files/out/kept', 'kept');\nthrow new Error('no');",
}


@BOTH
async def test_the_files_of_a_failed_script_are_collected(shared: ScriptRunner, language: Language) -> None:
    sink = TrialFiles()
    found = await report(shared, language, FAILS[language], RunFiles(1, sink=sink))
    assert found.failure is not None
    assert (found.failure.code, sink.kept) == (FailureCode.SCRIPT_ERROR, {"kept": b"kept"})


REFUSED = {
    (PYTHON, "no regular file"): "os.mkfifo('/files/out/a')",
    (PYTHON, "more than 7 folders"): "os.makedirs('/files/out/' + 'd/' * 9)",
    (PYTHON, "not printable"): "open(b'/files/out/\\xff', 'w').close()",
    (PYTHON, "Permission denied"): "os.mkdir('/files/out/closed', 0)",
    (NODEJS, "no regular file"): "fs.symlinkSync('/usr', '/files/out/a');",
    (NODEJS, "more than 7 folders"): "fs.mkdirSync('/files/out/' + 'd/'.repeat(9), { recursive: true });",
    (NODEJS, "not printable"): "fs.writeFileSync('/files/out/a\\n', '');",
    (NODEJS, "EACCES"): "fs.mkdirSync('/files/out/closed', 0);",
}


@pytest.mark.parametrize(("language", "why"), REFUSED)
async def test_what_is_no_file_is_refused_with_its_reason(shared: ScriptRunner, language: Language, why: str) -> None:
    sink = TrialFiles()
    found = await report(shared, language, REFUSED[language, why], RunFiles(1, sink=sink))
    assert found.failure is not None
    assert (found.failure.code, found.result, sink.kept) == (FailureCode.FILES_REFUSED, None, {})
    assert why in found.failure.message


TOO_MANY = {
    PYTHON: "for n in range(70): open(f'/files/out/{n:02}', 'w').close()",
    NODEJS: "for (let n = 0; n < 70; n += 1) fs.writeFileSync(`/files/out/${n}`, '');",
}
TOO_LARGE = {
    PYTHON: "for n in range(3): os.truncate(os.open(f'/files/out/{n}', os.O_CREAT | os.O_WRONLY), 1 << 20)",
    NODEJS: "for (const name of 'abc') fs.ftruncateSync(fs.openSync(`/files/out/${name}`, 'w'), 2 ** 20);",
}


@BOTH
async def test_too_many_and_too_large_files_are_refused_with_the_limit(
    shared: ScriptRunner, language: Language
) -> None:
    for source, limit, observed in ((TOO_MANY, 64, 65), (TOO_LARGE, 2 << 20, 3 << 20)):
        sink = TrialFiles()
        found = await report(shared, language, source[language], RunFiles(2, sink=sink))
        assert found.failure is not None
        assert found.failure.code is FailureCode.FILES_TOO_LARGE
        assert (found.failure.limit, found.failure.observed, sink.kept) == (limit, observed, {})


FULL = {
    PYTHON: "open('/files/out/a', 'wb').write(b'a' * (3 << 20))",
    NODEJS: "fs.writeFileSync('/files/out/a', Buffer.alloc(3 << 20));",
}


@BOTH
async def test_the_folder_takes_what_its_size_allows(shared: ScriptRunner, language: Language) -> None:
    found = await report(shared, language, FULL[language], RunFiles(2))
    assert found.failure is not None
    assert "no space left" in found.failure.message.lower()


HELD = {
    PYTHON: "os.write(os.open('/files/out/a', os.O_CREAT | os.O_WRONLY), b'a')",
    NODEJS: "fs.writeSync(fs.openSync('/files/out/a', 'w'), 'a');",
}


@BOTH
async def test_a_worker_with_an_open_file_is_not_used_again(shared: ScriptRunner, language: Language) -> None:
    ref, sink = new_session(), TrialFiles()
    assert (await report(shared, language, HELD[language], RunFiles(1, sink=sink), ref)).failure is None
    assert sink.kept == {"a": b"a"}
    assert (await report(shared, language, LEFT[language], RunFiles(1), ref)).cold_start


MAPS = (
    "import mmap\nf = os.open('/files/out/a', os.O_CREAT | os.O_RDWR)\nos.ftruncate(f, 4096)\n"
    "m = mmap.mmap(f, 4096)\nm[:] = b'a' * 4096\nos.close(f)\n"
)


@pytest.mark.parametrize(("keeps", "is_cold"), [("loop = [m]\nloop.append(loop)", False), ("os.kept = m", True)])
async def test_a_file_may_be_mapped_by_garbage_alone(shared: ScriptRunner, keeps: str, *, is_cold: bool) -> None:
    ref = new_session()
    assert (await report(shared, PYTHON, MAPS + keeps, RunFiles(1), ref)).failure is None
    assert (await report(shared, PYTHON, LEFT[PYTHON], RunFiles(1), ref)).cold_start is is_cold


async def test_attributes_of_the_folder_do_not_stay(shared: ScriptRunner) -> None:
    ref = new_session()
    found = await report(shared, PYTHON, "os.setxattr('/files', b'user.left', b'left')", RunFiles(1), ref)
    if found.failure is not None:
        assert "not supported" in found.failure.message  # before Linux 6.6
    assert (await report(shared, PYTHON, "result = os.listxattr('/files')", RunFiles(1), ref)).result == "[]"


THERE = {PYTHON: "result = os.path.exists('/files')", NODEJS: "return fs.existsSync('/files');"}


@BOTH
async def test_scripts_without_files_have_no_folder(shared: ScriptRunner, language: Language) -> None:
    assert (await report(shared, language, THERE[language], None)).result == "false"


async def test_equipped_workers_without_files_have_no_folder(shared: ScriptRunner) -> None:
    run = run_of(PRELUDE[NODEJS] + THERE[NODEJS], language=NODEJS, syntax=Syntax.TYPESCRIPT)
    assert (await report_of(shared, run)).result == "false"


async def unreadable() -> AsyncIterator[bytes]:
    yield b"first"
    raise Overloaded("a file", 1.0)


async def test_nothing_is_started_if_a_file_cannot_be_read(shared: ScriptRunner) -> None:
    files = RunFiles(1, (GivenFile("a", 10, unreadable),))
    with pytest.raises(Overloaded):
        await report(shared, PYTHON, "result = 1", files)


@BOTH
async def test_nothing_is_started_if_the_worker_cannot_take_a_file(shared: ScriptRunner, language: Language) -> None:
    files = RunFiles(1, (given_file("a", bytes(2 << 20)),))
    with pytest.raises(RuntimeUnavailable, match=r"No space left|ENOSPC"):
        await report(shared, language, "result = 1", files)


@pytest.mark.parametrize("last", [0, 1])
async def test_a_run_is_stopped_while_its_files_are_delivered(shared: ScriptRunner, last: int) -> None:
    workers: list[Worker] = []

    async def stopping() -> AsyncIterator[bytes]:
        for number in range(2):
            if number == last:
                await workers[0].stop()
            yield b"piece"

    files = RunFiles(1, (GivenFile("a", 10, stopping),))
    workers.append(await shared.acquire(run_of("result = 1", files=files)))
    try:
        stopped = await workers[0].run()
    finally:
        await workers[0].release()
    assert stopped.failure is not None
    assert stopped.failure.code is FailureCode.EXECUTION_CANCELLED


class FullSink(TrialFiles):
    """Takes no file."""

    @override
    async def take(self, file: LeftFile, pieces: AsyncIterator[bytes]) -> bool:
        return False


async def test_a_sink_that_takes_nothing_ends_the_collection(shared: ScriptRunner) -> None:
    sink = FullSink()
    found = await report(shared, PYTHON, "open('/files/out/a', 'w').close()\nresult = 1", RunFiles(1, sink=sink))
    assert (found.failure, found.result, sink.kept) == (None, "1", {})


async def test_scripts_with_packages_may_have_files(runtimes_dir: Path, shared: SandboxScriptRunner) -> None:
    environment = HostilePackages(runtimes_dir).environment(PYTHON)
    sink = TrialFiles()
    run = run_of("open('/files/out/a', 'w').close()", files=RunFiles(1, sink=sink), environment=environment)
    assert (await report_of(shared, run)).failure is None
    assert sink.kept == {"a": b""}


async def test_a_worker_that_executes_node_has_files(opened: Opened) -> None:
    async with opened(languages=[NODEJS], node_start=NodeStart.EXEC) as runner:
        sink = TrialFiles()
        found = await report(runner, NODEJS, COPIES[NODEJS], RunFiles(16, GIVEN, sink))
        assert (found.failure, sink.kept["plots/more/é.bin"]) == (None, LARGE)
