"""Commands, run as an operator runs them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import settings_for
from tests.support.folders import shared_folder

ROOT = Path(__file__).parents[3]
QUIET = {"HOST": "", "PORT": "", "AUTH": "", "JWT_SECRET": "", "NODEJS_RUNTIME_URL": "", "PYTHON_RUNTIME_URL": ""}

PROCESS_LIMIT_S = 180
"""A command takes a second of processor time, of which a busy machine may give it a hundredth."""

Run = Callable[..., subprocess.CompletedProcess[str]]


def pglambda(*arguments: str, stdin: int = subprocess.DEVNULL, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; `stdin` is a descriptor."""
    return subprocess.run(
        [sys.executable, "-m", "entrypoints", *arguments],
        env={**os.environ, **QUIET, **variables},
        cwd=ROOT,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A folder that workers of another user can reach, kept for the whole run: copies of interpreters are made once."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture
def settings(database_url: str, data_dir: Path) -> Settings:
    return settings_for(database_url, data_dir)


@pytest.fixture
def run(settings: Settings) -> Run:
    """Runs a command on the test's own database."""
    assert settings.database_url is not None
    given = {"DATABASE_URL": settings.database_url.reveal(), "DATA_DIR": str(settings.data_dir)}
    return lambda *arguments, **variables: pglambda(*arguments, **{**given, **variables})
