"""The API document of the real composition with the default settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from entrypoints.http.route import Route
from entrypoints.settings.loading import load_settings

NOWHERE = {"DATABASE_URL": "postgresql:///", "DATA_DIR": "/nonexistent"}


@pytest.fixture(scope="session")
def text() -> str:
    return Commands(settings=load_settings(NOWHERE)).document()


@pytest.fixture
def whole(text: str) -> Any:
    return json.loads(text)


@pytest.fixture(scope="session")
def routes() -> tuple[Route, ...]:
    return create_controller(load_settings(NOWHERE)).routes


@pytest.fixture(scope="session")
def committed() -> str:
    return (Path(__file__).parents[4] / "docs/openapi.json").read_text()
