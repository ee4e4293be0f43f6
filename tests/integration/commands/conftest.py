"""Commands in this process, on the test's own database."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import (  # noqa: F401  # fixtures of both folders
    NODEJS_HERE,
    settings_for,
    shared,
    shared_database_url,
)
from tests.support.commands import Ended, run_command
from tests.support.folders import shared_folder

ROOT = Path(__file__).parents[3]
QUIET = {"HOST": "", "PORT": "", "AUTH": "", "JWT_SECRET": "", "NODEJS_RUNTIME_URL": "", "PYTHON_RUNTIME_URL": ""}

Run = Callable[..., Ended]
Write = Callable[..., None]


def pglambda(*arguments: str, **variables: str) -> Ended:
    """Run the command in this process, whose own settings do not count."""
    return run_command(*arguments, **{**QUIET, **variables})


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


@pytest.fixture
def write(database_url: str) -> Write:
    """Runs a statement that writes rows on the test's own database."""

    def run(statement: str, **values: Any) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            assert connection.execute(statement, values).rowcount

    return run
