"""How many files a reader opens to follow one warm execution from its route to the SQL and back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from tests.integration.application.conftest import Api

ROOT = Path(__file__).parents[3]
PACKAGES = ("adapters", "domain", "entrypoints")
FILES_MAX = 70
"""All files together, with the log writer where logs are configured. Lower it when modules are merged; a change that needs a further file has to justify it: the turns of statements were too much for the module of the coalescer, a call and
what its grants give for that of executions, and statements and the pool for that of connections."""

NOT_TRACED = {
    "sql/executions.sql",
    *(f"adapters/sandbox/guest/python/{name}.py" for name in ("frames", "results", "scope", "scripts", "worker")),
}
"""The statements, and the code that runs inside the sandbox."""

EXECUTIONS = 30
"""What runs in only some of them is periodic work of the service."""


@contextmanager
def recorded_files() -> Iterator[set[str]]:
    """Collect the files of the project whose functions are called in this thread, relative to its root."""
    code_files: set[str] = set()

    def record(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            code_files.add(frame.f_code.co_filename)

    files: set[str] = set()
    before = sys.getprofile()
    sys.setprofile(record)
    try:
        yield files
    finally:
        sys.setprofile(before)
    paths = (Path(name) for name in code_files)
    relative = (path.relative_to(ROOT) for path in paths if path.is_relative_to(ROOT))
    files.update(str(path) for path in relative if path.parts[0] in PACKAGES)


@pytest.fixture
async def files(api: Api) -> set[str]:
    """The files of a warm execution of a Python script, without an idempotency key."""
    session_id = await api.initialize("python-sum", "result = params['a'] + 1")
    for _ in range(2):
        await api.execute(session_id, a=1)
    runs = []
    for _ in range(EXECUTIONS):
        with recorded_files() as run:
            response = await api.execute(session_id, a=1)
        assert response.json()["result"] == 2
        runs.append(run)
    return set.intersection(*runs) | NOT_TRACED


def test_one_warm_execution_is_followed_in_few_files(files: set[str]) -> None:
    assert len(files) <= FILES_MAX, f"{len(files)} files:\n" + "\n".join(sorted(files))
    assert {"entrypoints/http/pipeline.py", "domain/executions/service.py", "adapters/postgres/gateway.py"} <= files


def test_every_file_that_is_not_traced_exists() -> None:
    assert not [name for name in NOT_TRACED if not (ROOT / name).is_file()]
