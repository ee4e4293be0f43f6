"""Equality of JSON texts."""

import json
from typing import Any

from domain.json_text import JsonText


def same_json(one: JsonText, other: JsonText) -> bool:
    """Return whether two texts have the same value.

    The order of members and the spelling of numbers do not matter: 1 equals 1.0, but not true. Texts that cannot be
    decoded, because they are too deep or have too long numbers, are the same if they are equal.
    """
    if one == other:
        return True
    try:
        return _same(json.loads(one), json.loads(other))
    except (ValueError, RecursionError):
        return False


def _same(one: Any, other: Any) -> bool:
    todo = [(one, other)]
    while todo:
        left, right = todo.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            todo += [(left[name], right[name]) for name in left]
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            todo += zip(left, right, strict=True)
        elif isinstance(left, bool) is not isinstance(right, bool) or left != right:
            return False
    return True
