"""What is stored with the end of an execution."""

from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from domain.executions.execution import FinishedExecution, OpenExecution
from domain.files.file import StoredFile
from domain.identity import ANONYMOUS
from domain.json_text import JsonText
from domain.scripts.report import ScriptReport
from tests.unit.domain.builders import START, session_at

FILE = StoredFile(UUID(int=1), ANONYMOUS, "a.txt", "text/plain", 1, "00" * 32, START)
PLAIN = FinishedExecution(
    OpenExecution(UUID(int=2), session_at(), START), START, JsonText("{}"), ScriptReport(JsonText("1"), None, 1.0)
)


@pytest.mark.parametrize("more", [{"state": JsonText("{}")}, {"uses": JsonText("{}")}, {"files": (FILE,)}])
def test_an_end_saves_more_with_a_state_uses_or_files(more: dict[str, Any]) -> None:
    assert not PLAIN.saves_more
    assert evolve(PLAIN, **more).saves_more
