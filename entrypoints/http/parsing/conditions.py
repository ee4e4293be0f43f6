"""Conditional requests (RFC 9110, section 13): `If-Match` and `If-None-Match`."""

import re

from attrs import evolve

from domain.functions.function import Precondition
from domain.schedules.schedule import ScheduleCondition
from domain.sessions.session import SessionCondition
from entrypoints.http.parsing.headers import invalid_header
from entrypoints.http.request import Request

_TAG = '(?:W/)?"[!#-~]*"'
_TAGS_MAX = 8

TAGS_PATTERN = rf"^(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG}){{0,{_TAGS_MAX - 1}}})$"
"""The form of both headers, in the dialect that JSON Schema shares."""

_TAGS = re.compile(TAGS_PATTERN)
_EACH = re.compile(r'(W/)?"([!#-~]*)"')

_Tags = frozenset[str]
"""Entity tags without quotes."""


def session_match(request: Request) -> SessionCondition:
    """Return what `If-Match` requires of a session; raises InvalidRequest."""
    return SessionCondition(_matched(request))


def session_condition(request: Request) -> SessionCondition:
    """Return what both headers require of a session; raises InvalidRequest."""
    return SessionCondition(_matched(request), _excluded(request))


def schedule_match(request: Request) -> ScheduleCondition:
    """Return what `If-Match` requires of a schedule; raises InvalidRequest."""
    return ScheduleCondition(_matched(request))


def schedule_condition(request: Request) -> ScheduleCondition:
    """Return what both headers require of a schedule; raises InvalidRequest."""
    return ScheduleCondition(_matched(request), _excluded(request))


def is_known(request: Request, tag: str | int) -> bool:
    """Return whether the caller of a GET has the representation with this entity tag; raises InvalidRequest."""
    excluded = _excluded(request)
    return excluded is None or str(tag) in excluded


def function_match(request: Request, mark: str = "") -> Precondition:
    """Return what `If-Match` requires of a function, whose tags end with a mark; raises InvalidRequest."""
    if request.raw_header(b"if-match") is None:
        return Precondition()
    matched = _matched(request)
    if matched is None:
        return Precondition(registered=True)
    return Precondition(frozenset(tag.removesuffix(mark) for tag in matched if tag.endswith(mark)), registered=True)


def function_condition(request: Request) -> Precondition:
    """Return what both headers require of a function that is to be changed; raises InvalidRequest."""
    condition, none_match = function_match(request), request.header(b"if-none-match")
    if none_match is None:
        return condition
    if none_match.strip() != "*":
        raise invalid_header("If-None-Match", 'must be "*": the function must not be registered')
    return evolve(condition, registered=False)


def _matched(request: Request) -> _Tags | None:
    """Return the tags of `If-Match`; None accepts every representation. A weak tag matches nothing."""
    found = _entity_tags(request, "If-Match")
    return None if found is None else frozenset(tag for weak, tag in found if not weak)


def _excluded(request: Request) -> _Tags | None:
    """Return the tags of `If-None-Match`, weak or not; None stands for every representation."""
    if request.raw_header(b"if-none-match") is None:
        return frozenset()
    found = _entity_tags(request, "If-None-Match")
    return None if found is None else frozenset(tag for _, tag in found)


def _entity_tags(request: Request, name: str) -> list[tuple[str, str]] | None:
    """Return (mark of weakness, tag) for each tag; None for `*`, and for an absent header."""
    header = request.header(name.lower().encode())
    if header is None or header.strip() == "*":
        return None
    if not _TAGS.fullmatch(header):
        raise invalid_header(name, f'must be "*" or at most {_TAGS_MAX} entity tags such as "3", in double quotes')
    return _EACH.findall(header)
