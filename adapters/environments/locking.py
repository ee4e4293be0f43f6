"""Makes locks by the tools of the languages: uv for Python, npm for Node.js."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, frozen
from typing_extensions import override

from adapters.environments.building.index import PackageIndex
from adapters.environments.building.tools import MANYLINUX, npmrc
from domain.scripts.language import Language

_TIMEOUT_S = 300
_SAID_MAX = 4000
"""Characters of what a tool has written that an error shows: the last ones."""
_FOREIGN = ("UV_", "PIP_", "NPM_CONFIG_")
"""Variables of the operator that would name another index."""
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_MADE_BY = "pglambda environments lock"


@define(eq=False)
class LockFailed(RuntimeError):
    """A tool could not make a lock. The message has what it wrote, without credentials."""

    message: str

    @override
    def __str__(self) -> str:
        return self.message


@frozen
class PackageLocker:
    """Finds the packages that a manifest needs in an index, on this machine. No code of a package runs.

    `tool` is uv, or Node.js with npm. Scripts run on the minor version of Python that this process has.
    """

    language: Language
    _index: PackageIndex
    _tool: Sequence[str]

    def lock(self, manifest: Path, before: str | None) -> str:
        """Return the lock; versions are not newer than the day `before`. Raises LockFailed and OSError."""
        with tempfile.TemporaryDirectory(prefix="pglambda-lock-") as folder:
            if self.language is Language.PYTHON:
                return self._by_uv(manifest, Path(folder), before)
            return self._by_npm(manifest, Path(folder), before)

    def _by_uv(self, manifest: Path, folder: Path, before: str | None) -> str:
        found = folder / "requirements.txt"
        command = [*self._tool, "pip", "compile", manifest.name, "--output-file", str(found)]
        command += ["--generate-hashes", "--only-binary", ":all:", "--no-config", "--no-python-downloads", "--quiet"]
        command += ["--python", sys.executable, "--python-version", _PYTHON]
        command += ["--python-platform", f"{platform.machine()}-{MANYLINUX}", "--color", "never", "--no-progress"]
        command += ["--custom-compile-command", _MADE_BY]
        command += [] if before is None else ["--exclude-newer", before]
        # In a variable: the command line of a process is visible to every user of the host.
        # It runs where the manifest is, which may name other files there.
        self._run(command, manifest.resolve().parent, {"UV_DEFAULT_INDEX": self._index.url})
        return found.read_text()

    def _by_npm(self, manifest: Path, folder: Path, before: str | None) -> str:
        shutil.copyfile(manifest, folder / "package.json")
        (folder / "npmrc").write_text(npmrc(self._index))
        command = [*self._tool, "install", "--package-lock-only", "--lockfile-version=3", "--ignore-scripts"]
        command += ["--no-audit", "--no-fund", "--no-update-notifier", "--color=false", "--progress=false"]
        command += ["--userconfig", str(folder / "npmrc"), "--globalconfig", "/nonexistent", "--logs-max=0"]
        command += ["--cache", str(folder / "cache"), "--prefix", str(folder)]
        command += [] if before is None else ["--before", before]
        self._run(command, folder, {})
        return (folder / "package-lock.json").read_text()

    def _run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        own = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}
        try:
            ended = subprocess.run(  # noqa: S603  # a tool by its path, with the file of the operator
                command,
                cwd=folder,
                env={**own, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LockFailed(
                f"No lock was made within {_TIMEOUT_S} s. See whether this machine reaches the index."
            ) from None
        if ended.returncode != 0:
            said = self._index.hide(ended.stdout.decode(errors="replace"))[-_SAID_MAX:].strip()
            raise LockFailed(f"No lock was made: {Path(command[0]).name} ended with status {ended.returncode}.\n{said}")
