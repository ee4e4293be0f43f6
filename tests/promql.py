"""As much of PromQL as is needed to see which metrics and labels an expression is about."""

import re

from attrs import frozen

_KEYWORDS = frozenset(
    {"by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "and", "or", "unless"}
)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)")


@frozen
class Mentioned:
    """The metrics and the labels that an expression names."""

    metrics: frozenset[str]
    labels: frozenset[str]


def mentioned(expression: str) -> Mentioned:
    """Return what an expression names; aggregations, functions and keywords are none of it."""
    bare = _RANGE.sub("", _TEXT.sub('""', expression))
    labels = {label for inside in _MATCHERS.findall(bare) for label in _LABEL.findall(inside)}
    bare = _MATCHERS.sub(" ", bare)
    labels |= {label for inside in _GROUPING.findall(bare) for label in _NAME.findall(inside)}
    bare = _GROUPING.sub(" ", bare)
    called = {name for name in _NAME.findall(bare) if re.search(rf"\b{name}\s*\(", bare)}
    # What groups between an aggregation and its bracket has gone by now, so each is followed by its bracket.
    return Mentioned(frozenset(set(_NAME.findall(bare)) - called - _KEYWORDS), frozenset(labels))
