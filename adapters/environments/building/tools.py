"""What a build runs in its sandbox: uv for Python, npm for Node.js."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from adapters.environments.building.index import PackageIndex
from adapters.environments.building.sandbox import BUILD
from domain.scripts.language import Language

UV = Path("/usr/bin/uv")
NPM = Path("/usr/lib/npm")
NODE = Path("/usr/bin/node")
TREE = "tree"
"""The folder of a build that becomes the tree."""
_LOCK = "lock.txt"
MANYLINUX = "manylinux_2_28"
"""What compiled files of Python are built for."""


@frozen
class PackageInstall:
    """The files that a tool reads, by their names in the folder of the build, its command, and its variables."""

    files: Mapping[str, str]
    command: Sequence[str]
    variables: Mapping[str, str]


def installation(language: Language, lock: str, index: PackageIndex, python: Path) -> PackageInstall:
    """Return how the packages of a canonical lock are installed. No code of a package runs."""
    return _by_uv(lock, index, python) if language is Language.PYTHON else _by_npm(lock, index)


def _by_uv(lock: str, index: PackageIndex, python: Path) -> PackageInstall:
    command = [str(UV), "pip", "install", "--target", str(BUILD / TREE), "--python", str(python), "--no-config"]
    command += ["--python-platform", f"{platform.machine()}-{MANYLINUX}", "--only-binary", ":all:"]
    command += ["--require-hashes", "--no-deps", "--link-mode", "copy", "--cache-dir", str(BUILD / "cache")]
    command += ["--no-python-downloads", "--no-progress", "--color", "never", "--requirements", _LOCK]
    # In a variable: the command line of a process is visible to every user of the host.
    return PackageInstall({_LOCK: lock}, command, {"UV_DEFAULT_INDEX": index.url, "UV_NO_INSTALLER_METADATA": "1"})


def _by_npm(lock: str, index: PackageIndex) -> PackageInstall:
    wanted = json.loads(lock)
    package = {"name": "environment", "version": "1.0.0", "private": True, **wanted["packages"][""]}
    wanted["packages"][""] = {**wanted["packages"][""], "name": "environment", "version": "1.0.0"}
    named = {"name": "environment", "version": "1.0.0", **wanted}
    command = [str(NODE), str(NPM / "bin" / "npm-cli.js"), "ci", "--ignore-scripts", "--omit=dev", "--no-audit"]
    command += ["--no-fund", "--no-update-notifier", "--prefix", str(BUILD / TREE), "--cache", str(BUILD / "cache")]
    command += ["--userconfig", str(BUILD / "npmrc"), "--globalconfig", "/nonexistent", "--loglevel", "http"]
    command += ["--no-bin-links", "--color=false", "--progress=false", "--logs-max=0"]
    files = {
        f"{TREE}/package.json": json.dumps(package),
        f"{TREE}/package-lock.json": json.dumps(named),
        "npmrc": npmrc(index),
    }
    return PackageInstall(files, command, {})


def npmrc(index: PackageIndex) -> str:
    """Return the settings of npm for an index; they may have its credentials."""
    url = index.plain_url.rstrip("/") + "/"
    lines = [f"registry={url}"]
    if index.basic is not None:
        lines.append(f"{url.partition(':')[2]}:_auth={index.basic}")
    return "".join(f"{line}\n" for line in lines)
