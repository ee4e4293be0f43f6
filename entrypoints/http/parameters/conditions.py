"""Conditions in headers."""

import re

from domain.errors import Problem
from domain.functions.function import Precondition
from entrypoints.http.errors import invalid
from entrypoints.http.request import Request

_TAG = '(?:W/)?"[!#-~]*"'
_VERSION = re.compile(r'(?:^|(?<=[ \t,]))"([1-9][0-9]{0,17})"')
_TAGS_MAX = 8

TAGS_PATTERN = rf"^(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG}){{0,{_TAGS_MAX - 1}}})$"
"""What `If-Match` may be, in the dialect that JSON Schema shares."""

_TAGS = re.compile(TAGS_PATTERN)

NO_VERSION = 0
"""The version that no session has."""


def etag(version: int) -> tuple[bytes, bytes]:
    """Return the header that carries a version."""
    return b"etag", b'"%d"' % version


def versions_wanted(request: Request) -> tuple[int | None, ...]:
    """Return the versions of which the session must have one, by `If-Match` (RFC 9110, section 13.1.1).

    None is any version. Tags that are weak, or that no session ever had, match nothing. Raises InvalidRequest.
    """
    header = request.header(b"if-match")
    if header is None or header.strip() == "*":
        return (None,)
    if not _TAGS.fullmatch(header):
        message = f'must be "*" or at most {_TAGS_MAX} entity tags like "3", in double quotes'
        raise invalid([Problem("/headers/If-Match", message)])
    return tuple(int(version) for version in _VERSION.findall(header)) or (NO_VERSION,)


def function_condition(request: Request) -> Precondition:
    """Return what `If-Match` and `If-None-Match` require of a function; raises InvalidRequest."""
    match, none_match = request.header(b"if-match"), request.header(b"if-none-match")
    if none_match is not None and none_match.strip() != "*":
        raise invalid([Problem("/headers/If-None-Match", 'must be "*": the function must not be registered')])
    if match is None:
        return Precondition(registered=None if none_match is None else False)
    versions = [version for version in versions_wanted(request) if version is not None]
    registered = none_match is None
    return Precondition(frozenset(versions) if versions else None, registered)
