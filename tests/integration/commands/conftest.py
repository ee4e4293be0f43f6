"""Commands on the test's own database: in this process, or as programs where these are the subject."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import NODEJS_HERE, settings_for
from tests.support.commands import Ended, run_command
from tests.support.folders import shared_folder
from tests.support.programs import unmeasured

ROOT = Path(__file__).parents[3]
QUIET = {"HOST": "", "PORT": "", "AUTH": "", "JWT_SECRET": "", "NODEJS_RUNTIME_URL": "", "PYTHON_RUNTIME_URL": ""}

PROCESS_LIMIT_S = 180
"""A program takes a second of processor time, of which a busy machine may give it a hundredth."""

Run = Callable[..., Ended]


def pglambda(*arguments: str, **variables: str) -> Ended:
    """Run the command in this process, whose own settings do not count."""
    return run_command(*arguments, **{**QUIET, **variables})


def program(*arguments: str, stdin: int = subprocess.DEVNULL, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a program to its end; `stdin` is a descriptor."""
    return subprocess.run(
        [sys.executable, "-m", "entrypoints", *arguments],
        env={**unmeasured(), **QUIET, **variables},
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
    return settings_for(database_url, data_dir, **NODEJS_HERE)


@pytest.fixture
def python_settings(database_url: str, data_dir: Path) -> Settings:
    """Settings of a controller on the test's own database that does not start Node.js."""
    return settings_for(database_url, data_dir)


@pytest.fixture
def variables(settings: Settings) -> dict[str, str]:
    """The settings by which a command finds the test's own database."""
    assert settings.database_url is not None
    return {"DATABASE_URL": settings.database_url.reveal(), "DATA_DIR": str(settings.data_dir)}


@pytest.fixture
def run(variables: dict[str, str]) -> Run:
    """Runs a command on the test's own database."""
    return lambda *arguments, **others: pglambda(*arguments, **{**variables, **others})
