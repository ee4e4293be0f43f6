"""Trees of real packages, installed by pip and npm from the registries that they are configured for."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

TREES = "PGLAMBDA_TEST_TREES"
"""A folder with `python` and `nodejs`, in place of an installation."""
PYTHON = ("numpy", "pandas", "requests", "httpx")
NODEJS = ("lodash", "zod", "date-fns", "ajv")
_TIMEOUT_S = 600


def python_tree(folder: Path) -> Path:
    """Return a folder with the packages; skips the test if no index answers."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target", str(folder)]
    return _given("python") or _installed([*pip, *PYTHON], folder)


def nodejs_tree(folder: Path) -> Path:
    """Return a folder with node_modules; skips the test if no registry answers."""
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    npm = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
    return _given("nodejs") or _installed([*npm, *NODEJS], folder)


def _given(name: str) -> Path | None:
    folder = os.environ.get(TREES)
    return None if folder is None else Path(folder) / name


def _installed(command: Sequence[str], folder: Path) -> Path:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        pytest.skip(f"the packages cannot be installed: {error}: {said.decode(errors='replace')[-500:]}")
    return folder
