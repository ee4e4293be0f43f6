"""Calls by name of a function whose hidden session is closed again and again."""

from types import SimpleNamespace as Double
from typing import Any

import pytest

from domain.executions.by_name import FunctionCalls
from domain.executions.function_sessions import FunctionSessions
from domain.identity import ANONYMOUS
from domain.json_text import JsonText
from domain.scripts.language import LanguageMapping
from domain.sessions.session import SessionNotFound, UpdateConflict

FUNCTION: Any = Double(
    function_id=1, version=3, language_title="python-adder", definition=Double(script=Double(source=""), grants=None)
)
FUNCTION.require_registered = lambda: FUNCTION


def returning(value: Any) -> Any:
    async def respond(*_: Any, **__: Any) -> Any:
        return value

    return respond


async def refused(*_: Any, **__: Any) -> Any:
    raise SessionNotFound


@pytest.mark.parametrize("name", ["python-adder", "python-adder@3"])
async def test_a_call_whose_session_never_lives_ends_with_a_conflict(name: str) -> None:
    sessions: Any = FunctionSessions(
        clock=Double(now=lambda: None),
        ids=Double(new_placed=lambda *_: 1),
        functions=Double(find=returning(FUNCTION), callable=returning(FUNCTION)),
        hidden=Double(refs=returning(["ref"]), open=returning("ref")),
        mapping=LanguageMapping({}, ()),
        policy=Double(request_timeout_s=5.0, open=lambda *_, **__: None),
        quotas=None,
    )  # type: ignore[arg-type]
    calls: Any = FunctionCalls(sessions, Double(execute=refused), None)  # type: ignore[arg-type]
    with pytest.raises(UpdateConflict):
        await calls.execute(ANONYMOUS, name, JsonText("{}"))
