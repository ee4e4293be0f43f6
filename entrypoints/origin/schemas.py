"""The bodies of the origin's responses, member by member."""

from collections.abc import Sequence
from datetime import datetime
from math import ceil
from typing import Literal
from uuid import UUID

from msgspec import Raw, Struct

from domain.executions.execution import Executed
from domain.functions.function import Function, FunctionType
from domain.functions.lists import FunctionSummary
from domain.json_text import JsonText
from domain.sessions.ports import Initialized
from domain.sessions.session import Session
from entrypoints.http.response import embedded

_NULL = Raw(b"null")


class OriginInitialized(Struct):
    """A new session."""

    request_id: UUID
    status: Literal["initialized"]
    expires_at: datetime

    @classmethod
    def of(cls, made: Initialized) -> "OriginInitialized":
        """Return the body for a new session."""
        return cls(made.ref.session_id, "initialized", made.expires_at)


class OriginExecuted(Struct):
    """An execution that succeeded. The time is in whole milliseconds, rounded up."""

    result: Raw
    request_id: UUID
    execution_time_ms: int
    memory_usage_bytes: int | None

    @classmethod
    def of(cls, ended: Executed) -> "OriginExecuted":
        """Return the body for an execution that succeeded."""
        report = ended.report
        result = _NULL if report.result is None else embedded(report.result)
        time_ms = max(0, ceil(report.execution_time_ms))
        return cls(result, ended.ref.session_id, time_ms, report.memory_usage_bytes)


class OriginSessionState(Struct):
    """A live session. The origin never stored the status of a compilation of its newest release."""

    request_id: UUID
    language_title: str
    created_at: datetime
    expires_at: datetime
    last_executed_at: datetime | None
    execution_count: int
    status: Literal["active"]
    compile_status: None

    @classmethod
    def of(cls, kept: Session, language_title: str) -> "OriginSessionState":
        """Return the body for a live session, with the language-title as its client wrote it."""
        return cls(
            kept.ref.session_id,
            language_title,
            kept.created_at,
            kept.expires_at,
            kept.last_executed_at,
            kept.execution_count,
            "active",
            None,
        )


class OriginListedFunction(Struct):
    """A function in a list."""

    language_title: str
    description: str | None
    type: FunctionType
    created_at: datetime
    last_updated_at: datetime

    @classmethod
    def of(cls, listed: FunctionSummary) -> "OriginListedFunction":
        """Return the body for a function in a list."""
        title, description = str(listed.language_title), listed.description or None
        return cls(title, description, listed.type, listed.created_at, listed.updated_at)


class OriginFunctions(Struct):
    """A page of functions, the newest first."""

    functions: Sequence[OriginListedFunction]


class OriginFunction(Struct):
    """A function. The origin never shows its script; `user_id` is who registered it."""

    language: str
    title: str
    language_title: str
    description: str | None
    type: FunctionType
    user_id: str | None
    created_at: datetime
    updated_at: datetime
    script_content: None
    schema: Raw
    examples: Raw

    @classmethod
    def of(cls, function: Function) -> "OriginFunction":
        """Return the body for a function."""
        title, definition = function.language_title, function.definition
        by = None if function.type is FunctionType.PREDEFINED else function.author or function.owner
        return cls(
            language=str(title.language),
            title=title.title,
            language_title=str(title),
            description=definition.description or None,
            type=function.type,
            user_id=by,
            created_at=function.created_at,
            updated_at=function.updated_at,
            script_content=None,
            schema=_object({"params": definition.schema.params, "result": definition.schema.result}),
            examples=_examples(function),
        )


def _examples(function: Function) -> Raw:
    """Return the examples in the form that the origin documents, null without any."""
    shown = (
        _object({"request": _member("params", each.params), "response": _member("result", each.result)})
        for each in function.definition.examples
    )
    texts = [bytes(each) for each in shown]
    return Raw(b"[%b]" % b",".join(texts)) if texts else _NULL


def _member(name: str, text: JsonText) -> JsonText:
    return JsonText(f'{{"{name}":{text}}}')


def _object(members: dict[str, JsonText | None]) -> Raw:
    """Return an object of the members that are there, null without any."""
    texts = [f'"{name}":{text}' for name, text in members.items() if text is not None]
    return Raw(f"{{{','.join(texts)}}}".encode()) if texts else _NULL
