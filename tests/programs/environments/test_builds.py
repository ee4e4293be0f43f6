"""Builds with real tools in real sandboxes, from an index on this machine."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, field

from adapters.environments.building.index import PackageIndex
from adapters.environments.building.maker import SandboxedTreeMaker
from adapters.environments.copies import TreeCopies
from adapters.environments.folder import TreeFolder
from adapters.memory.environments import MemoryEnvironmentStore, MemoryTreeStore
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.environments.build import BuildFailed
from domain.environments.environment import EnvironmentVersion, lock_of
from domain.environments.ports import MadeTree
from domain.environments.tree import TreeLimits
from domain.scripts.language import Language
from entrypoints.composition.environments import build_sandbox
from entrypoints.composition.host_options import sandbox_options
from entrypoints.settings.loading import load_settings
from tests.contracts.environments import NOW, version
from tests.support.folders import shared_folder
from tests.support.indexes import LocalIndex, local_index, needs_uv
from tests.support.waiting import until

LIMITS = TreeLimits(50_000_000, 5_000)


@define(eq=False)
class Builds:
    """Builds below a folder, from a local index."""

    folder: Path
    index: LocalIndex
    limits: TreeLimits = LIMITS
    timeout_s: float = 120.0
    log: list[str] = field(factory=list)

    @asynccontextmanager
    async def made(self, language: Language, lock: str, url: str | None = None) -> AsyncIterator[MadeTree]:
        settings = load_settings({"DATABASE_URL": "postgresql:///", "DATA_DIR": str(self.folder)})
        prepared = SandboxBuilder(sandbox_options(settings, tuple(Language)))
        default = f"{self.index.url}/simple" if language is Language.PYTHON else self.index.url
        maker = SandboxedTreeMaker(
            TreeFolder(self.folder / "building"),
            lambda wanted: build_sandbox(settings, prepared, wanted),
            {language: PackageIndex(url or default)},
            self.limits,
            self.timeout_s,
        )
        maker.folder.prepare()
        async with maker.making(of(language, lock), self.log.append) as made:
            yield made

    async def fails(self, language: Language, lock: str, url: str | None = None) -> str:
        """Return why a build fails; nothing is left of it."""
        with pytest.raises(BuildFailed) as failed:
            async with self.made(language, lock, url):
                pass
        assert not list((self.folder / "building").iterdir())
        return failed.value.message


def of(language: Language, lock: str) -> EnvironmentVersion:
    return version(language=language, lock=lock_of(language, lock).text)


def python_lock(name: str, digest: str) -> str:
    return f"{name}==1.0 --hash=sha256:{digest}"


def node_lock(**integrities: str) -> str:
    packages = {
        f"node_modules/{name}": {"version": "1.0.0", "integrity": integrity} for name, integrity in integrities.items()
    }
    root = {"dependencies": dict.fromkeys(integrities, "1.0.0")}
    return json.dumps({"lockfileVersion": 3, "packages": {"": root, **packages}})


pytestmark = needs_uv


@pytest.fixture
def builds() -> Iterator[Builds]:
    with shared_folder() as folder, local_index() as index:
        yield Builds(folder, index)


PURE = {
    "pure/__init__.py": b"VALUE = 42\n",
    "pure/broken.py": b"def (\n",
    "pure/__pycache__/x.cpython-313.pyc": b"not byte code",
    "start.pth": b"import os",
    "sitecustomize.py": b"raise SystemExit",
    "bin/tool": b"#!/bin/sh\n",
}


async def test_a_wheel_is_installed_cleaned_compiled_and_packed(builds):
    digest = builds.index.add_wheel("pure", PURE)
    async with builds.made(Language.PYTHON, python_lock("pure", digest)) as made:
        names = {str(path.relative_to(made.path)) for path in made.path.rglob("*") if path.is_file()}
        (cached,) = [path.read_bytes() for path in (made.path / "pure" / "__pycache__").glob("__init__.cpython-*.pyc")]
        assert (made.path / "pure" / "__init__.py").read_bytes() == b"VALUE = 42\n"
        stored = await into_host(builds, made)
    assert not {name for name in names if name.startswith(("bin/", "start.pth", "sitecustomize"))}
    assert (cached[4], names & {"pure/__pycache__/x.cpython-313.pyc"}) == (1, set()), "byte code is found by its hash"
    assert (stored / "pure" / "__init__.py").read_bytes() == b"VALUE = 42\n"
    assert "Left out" in "".join(builds.log)


async def into_host(builds: Builds, made: MadeTree) -> Path:
    """Store a tree, and return it as a host fetches it."""
    trees = MemoryTreeStore(MemoryEnvironmentStore())
    await trees.begin(made.stored, NOW)
    for seq in range(made.stored.chunks):
        await trees.write(made.stored.digest, seq, await made.chunk(seq))
    trees.store.complete.add(made.stored.digest)
    copies = TreeCopies(TreeFolder(builds.folder / "host"), trees, LIMITS, 10**9, 60.0)
    await copies.open()
    held = await copies.hold(made.stored.digest)
    held.release()
    await copies.close()
    return held.path


async def test_equal_builds_have_equal_digests(builds):
    digest = builds.index.add_wheel("pure", PURE)
    found = []
    for _ in range(2):
        async with builds.made(Language.PYTHON, python_lock("pure", digest)) as made:
            found.append(made.stored)
    assert found[0] == found[1]


async def test_another_hash_than_the_lock_has_fails_and_both_are_in_the_log(builds):
    digest = builds.index.add_wheel("pure", PURE)
    reason = await builds.fails(Language.PYTHON, python_lock("pure", "0" * 64))
    assert reason.startswith("uv ended with status")
    assert "Hash mismatch for `pure==1.0`" in reason
    log = "".join(builds.log)
    assert digest in log
    assert "0" * 64 in log


async def test_what_the_index_does_not_have_fails(builds):
    assert "uv ended" in await builds.fails(Language.PYTHON, python_lock("missing", "0" * 64))


async def test_a_link_in_a_wheel_is_no_link_in_the_tree(builds):
    digest = builds.index.add_wheel("linked", {"linked/__init__.py": b""}, {"linked/passwd": "/etc/passwd"})
    async with builds.made(Language.PYTHON, python_lock("linked", digest)) as made:
        assert not any(path.is_symlink() for path in made.path.rglob("*"))


async def test_a_tree_over_its_limits_fails(builds):
    digest = builds.index.add_wheel("large", {f"large/{n}.txt": b"x" for n in range(110)})
    builds.limits = TreeLimits(50_000_000, 100)
    assert "100 files and folders that are allowed" in await builds.fails(Language.PYTHON, python_lock("large", digest))


MANY = {f"growing/{n}.bin": bytes(1_000_000) for n in range(60)}


async def test_a_build_that_grows_on_the_disk_ends_before_its_files_are_judged(builds):
    builds.limits = TreeLimits(10_000_000, 5_000)
    digest = builds.index.add_wheel("growing", MANY)
    reason = await builds.fails(Language.PYTHON, python_lock("growing", digest))
    assert "3 times MAX_ENVIRONMENT_MB are allowed (28 MiB)" in reason


@pytest.fixture
def small_disk(builds) -> Iterator[None]:
    """Builds on a file system of 120 MiB."""
    folder = builds.folder / "building"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_build_on_a_disk_that_is_nearly_full_ends_and_leaves_room_to_others(builds, small_disk):
    digest = builds.index.add_wheel("growing", MANY)
    reason = await builds.fails(Language.PYTHON, python_lock("growing", digest))
    assert "MiB free, and a build leaves 64 MiB. Free the disk" in reason
    pure = builds.index.add_wheel("pure", PURE)
    async with builds.made(Language.PYTHON, python_lock("pure", pure)) as made:
        assert (made.path / "pure" / "__init__.py").is_file()


async def test_a_package_that_would_run_code_to_be_installed_is_not_installed(builds):
    digest = builds.index.add_source("evil", f"open('{builds.folder}/ran', 'w')")
    reason = await builds.fails(Language.PYTHON, python_lock("evil", digest))
    assert "uv ended with status" in reason
    assert "no usable wheels" in "".join(builds.log).replace("\n", " ")
    assert not (builds.folder / "ran").exists()


async def test_a_build_that_takes_too_long_ends(builds):
    builds.timeout_s = 0.05
    digest = builds.index.add_wheel("pure", PURE)
    assert "ENVIRONMENT_BUILD_SECONDS" in await builds.fails(Language.PYTHON, python_lock("pure", digest))


async def test_a_build_reaches_nothing_but_its_index_and_hides_its_password(builds):
    digest = builds.index.add_wheel("pure", PURE)
    with local_index() as elsewhere:
        elsewhere.add_wheel("pure", PURE)
        page = builds.index.files["/simple/pure/"].replace(b'href="', f'href="{elsewhere.url}'.encode())
        builds.index.files["/simple/pure/"] = page
        url = builds.index.url.replace("http://", "http://alice:secret-word@") + "/simple"
        assert "uv ended" in await builds.fails(Language.PYTHON, python_lock("pure", digest), url)
    assert elsewhere.asked == [], "the host of this test reaches it, and the sandbox of the build must not"
    assert "/simple/pure/" in builds.index.asked
    assert "secret-word" not in "".join(builds.log)


async def test_an_index_that_is_away_is_named(builds):
    reason = await builds.fails(Language.PYTHON, python_lock("pure", "0" * 64), "http://127.0.0.1:9/simple")
    assert "127.0.0.1:9 was not reached" in reason


async def test_packages_of_node_are_installed_and_none_of_their_scripts_runs(builds):
    evil = "require('fs').writeFileSync(process.env.HOME + '/../tree/ran', '')"
    scripts = {"preinstall": "node evil.js", "install": "node evil.js", "postinstall": "node evil.js"}
    integrity = builds.index.add_package("adder", {"index.js": "module.exports = 1", "evil.js": evil}, scripts=scripts)
    async with builds.made(Language.NODEJS, node_lock(adder=integrity)) as made:
        names = {str(path.relative_to(made.path)) for path in made.path.rglob("*") if path.is_file()}
    assert {"package.json", "node_modules/adder/index.js"} <= names
    assert "ran" not in names


async def test_another_integrity_than_the_lock_has_fails(builds):
    builds.index.add_package("adder", {"index.js": "module.exports = 1"})
    wrong = "sha512-" + "A" * 86 + "=="
    assert "EINTEGRITY" in await builds.fails(Language.NODEJS, node_lock(adder=wrong))


async def test_a_build_that_is_cancelled_leaves_neither_files_nor_processes(builds):
    digest = builds.index.add_wheel("pure", PURE)
    building = asyncio.ensure_future(builds.fails(Language.PYTHON, python_lock("pure", digest)))
    await until(lambda: list(builds.folder.glob("building/*/work/cache/*")), 30)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert not list((builds.folder / "building").iterdir())
