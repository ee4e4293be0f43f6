"""Makes trees: installs in a sandbox, cleans, judges, compiles byte code, and packs."""

import asyncio
import contextlib
import hashlib
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from attrs import define, frozen
from typing_extensions import override

from adapters.environments.archive import FORMAT, packed, plain
from adapters.environments.building.cleaning import clean
from adapters.environments.building.growth import DiskWatch
from adapters.environments.building.index import PackageIndex
from adapters.environments.building.libraries import require_libraries
from adapters.environments.building.relay import IndexRelay
from adapters.environments.building.sandbox import BUILD, BuildSandbox, BuildStep, hosts_of
from adapters.environments.building.tools import TREE, PackageInstall, installation
from adapters.environments.copies import free_bytes
from adapters.environments.folder import TreeFolder, begun
from domain.environments.build import BuildFailed
from domain.environments.environment import EnvironmentVersion
from domain.environments.ports import MadeTree, TreeMaker
from domain.environments.tree import CHUNK_SIZE, BadTree, StoredTree, TreeJudge, TreeLimits
from domain.scripts.language import Language

_ERROR = re.compile("(?:npm )?error\\b|cause:|[\u00d7\u251c\u2570]", re.IGNORECASE)
"""How lines of npm and uv begin that say what failed."""
_ERRORS_MAX = 2
_SAID_MAX = 65_536
_PACKED = "packed"
_OWN_FOLDERS = ("home", "tmp", "cache", TREE)
_COMPILE_TIMEOUT_S = 300.0
_PIECE_SIZE = 65_536
_LINE_MAX = 65_536
_DROPPED_NAMED_MAX = 50
_DOWNLOAD_FACTOR = 2
"""A build receives at most so many times the bytes that a tree may have."""

Log = Callable[[str], None]


@frozen
class SandboxedTreeMaker(TreeMaker):
    """Makes trees below a folder of the host, one at a time. `sandbox` prepares that of a language, and may block.

    A kill leaves a partial folder, which `folder.prepare` removes.
    """

    folder: TreeFolder
    _sandbox: Callable[[Language], BuildSandbox]
    _indexes: Mapping[Language, PackageIndex]
    _limits: TreeLimits
    _timeout_s: float
    _free: Callable[[Path], int] = free_bytes

    @override
    @asynccontextmanager
    async def making(self, version: EnvironmentVersion, log: Log) -> AsyncIterator[MadeTree]:
        index = self._indexes.get(version.language)
        if index is None:
            raise BuildFailed(f"no index is set: set ENVIRONMENT_INDEX_{version.language.upper()}")
        sandbox = await asyncio.to_thread(self._sandbox, version.language)
        name = f"{version.name}-{version.version}"
        partial_tree = await begun(asyncio.ensure_future(asyncio.to_thread(self.folder.begin, name)))
        try:
            disk = DiskWatch(partial_tree.path, self._limits, self._free)
            build = _Build(partial_tree.path, sandbox, index, self._limits, lambda text: log(index.hide(text)), disk)
            yield await build.made(version, self._timeout_s)
        except OSError as error:
            raise BuildFailed(f"the host could not build it: {error}") from error
        finally:
            await asyncio.to_thread(partial_tree.close)


@define(eq=False)
class _Build:
    """One build in its folder."""

    _path: Path
    _sandbox: BuildSandbox
    _index: PackageIndex
    _limits: TreeLimits
    _log: Log
    _disk: DiskWatch

    async def made(self, version: EnvironmentVersion, timeout_s: float) -> MadeTree:
        plan = installation(version.language, version.lock, self._index, self._sandbox.python)
        self._prepare(plan)
        try:
            async with asyncio.timeout(timeout_s):
                await self._install(plan)
        except TimeoutError:
            raise BuildFailed(f"it took longer than ENVIRONMENT_BUILD_SECONDS ({timeout_s:g} s)") from None
        tree = self._path / "work" / TREE
        dropped = await asyncio.to_thread(clean, tree)
        self._report(dropped)
        try:
            await asyncio.to_thread(self._judge, tree, version.language)
            if version.language is Language.PYTHON:
                await self._compile()
            return await asyncio.to_thread(self._packed, tree, len(dropped))
        except BadTree as error:
            raise BuildFailed(str(error)) from error

    def _prepare(self, plan: PackageInstall) -> None:
        work, relay = self._path / "work", self._path / "relay"
        for folder in (work, relay, *(work / name for name in _OWN_FOLDERS)):
            folder.mkdir(mode=0o700)
        for name, text in plan.files.items():
            (work / name).write_text(text)
        (relay / "hosts").write_text(hosts_of(self._index.destinations))
        uid = self._sandbox.uid
        if uid is not None:
            for path in (work, relay, *work.rglob("*"), *relay.rglob("*")):
                os.chown(path, uid, uid)

    async def _install(self, plan: PackageInstall) -> None:
        relay = IndexRelay(_DOWNLOAD_FACTOR * self._limits.bytes_max)
        destinations = self._index.destinations
        async with relay.opened(self._path / "relay", destinations, self._sandbox.uid):
            status, last = await self._run(BuildStep(plan.command, plan.variables, destinations))
        for failure in relay.failures:
            self._log(f"{failure}\n")
        if status != 0:
            why = next(iter(relay.failures), last)
            raise BuildFailed(f"{Path(plan.command[0]).name} ended with status {status}: {self._index.hide(why)}")

    async def _compile(self) -> None:
        python = str(self._sandbox.python)
        command = [python, "-I", "-S", "-X", "utf8", "-m", "compileall", "-q", "-s", str(BUILD / TREE), "-p"]
        command += ["/environment", "--invalidation-mode", "unchecked-hash", str(BUILD / TREE)]
        try:
            async with asyncio.timeout(_COMPILE_TIMEOUT_S):
                # Files that this version of Python cannot read have no byte code; scripts that import them fail.
                await self._run(BuildStep(command))
        except TimeoutError:
            raise BuildFailed(f"its byte code took longer than {_COMPILE_TIMEOUT_S:g} s") from None

    async def _run(self, step: BuildStep) -> tuple[int, str]:
        """Run a program, log what it writes, and return its status with what it says of its failure."""
        command = self._sandbox.command(step, self._path / "work", self._path / "relay")
        # On this thread, with which it ends: bubblewrap dies with the thread that started it.
        program = subprocess.Popen(command, **self._sandbox.popen_options())  # type: ignore[call-overload]  # noqa: S603, ASYNC220  # our own command line, which takes milliseconds
        reading = asyncio.ensure_future(
            asyncio.to_thread(self._read, program, self._sandbox.order(step), asyncio.get_running_loop())
        )
        growing = asyncio.ensure_future(self._disk.excess())
        try:
            await asyncio.wait([reading, growing], return_when=asyncio.FIRST_COMPLETED)
            excess = growing.result() if growing.done() else await asyncio.to_thread(self._disk.found)
            if excess:
                raise BuildFailed(excess)
            return reading.result()
        finally:
            growing.cancel()
            program.kill()  # the whole sandbox ends with it
            await asyncio.wait([reading, growing])

    def _read(
        self, program: "subprocess.Popen[bytes]", order: bytes, loop: asyncio.AbstractEventLoop
    ) -> tuple[int, str]:
        assert program.stdin is not None
        assert program.stdout is not None
        said = ""
        with program, contextlib.suppress(BrokenPipeError):
            program.stdin.write(order)
            program.stdin.close()
            for text in whole_lines(iter(partial(os.read, program.stdout.fileno(), _PIECE_SIZE), b"")):
                loop.call_soon_threadsafe(self._log, text)
                said = (said + text)[-_SAID_MAX:]
        return program.returncode, _failure_in(said)

    def _judge(self, tree: Path, language: Language) -> None:
        """Raise BadTree for what does not belong in a tree."""
        for _ in plain(tree, TreeJudge(self._limits)):
            pass
        if language is Language.PYTHON:
            require_libraries(tree)

    def _packed(self, tree: Path, dropped: int) -> MadeTree:
        _open_to_all(tree)
        judge, digest, size = TreeJudge(self._limits), hashlib.sha256(), 0
        path = self._path / _PACKED
        with path.open("wb") as file:
            for piece in packed(tree, judge):
                digest.update(piece)
                size += file.write(piece)
        stored = StoredTree(digest.hexdigest(), FORMAT, judge.size, judge.count, size)
        return MadeTree(stored, tree, dropped, partial(_chunk, path))

    def _report(self, dropped: Sequence[str]) -> None:
        if dropped:
            named = "".join(f"  {name}\n" for name in dropped[:_DROPPED_NAMED_MAX])
            self._log(f"Left out {len(dropped)} files and folders that scripts do not import:\n{named}")


def whole_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield what a tool writes in whole lines, so that no credential is split; only a line over _LINE_MAX may be."""
    rest = b""
    for piece in pieces:
        lines, end, rest = (rest + piece).rpartition(b"\n")
        if len(rest) > _LINE_MAX:
            lines, rest = lines + end + rest, b""
        if lines or end:
            yield (lines + end).decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _failure_in(said: str) -> str:
    """Return the first lines that a tool marks as errors, or else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return " ".join(errors[:_ERRORS_MAX] or lines[-1:])


def _open_to_all(tree: Path) -> None:
    """Let the workers' uid read the files, for the trial."""
    tree.parent.chmod(0o711)
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


async def _chunk(path: Path, seq: int) -> bytes:
    return await asyncio.to_thread(_read_chunk, path, seq)


def _read_chunk(path: Path, seq: int) -> bytes:
    with path.open("rb") as file:
        file.seek(seq * CHUNK_SIZE)
        return file.read(CHUNK_SIZE)
