"""Whether two JSON texts say the same."""

import json
from typing import Any

from domain.json_text import JsonText


def same_json(one: JsonText, other: JsonText) -> bool:
    """Tell whether two texts have the same value: order of members and spelling of numbers aside, 1 is 1.0 but not true.

    Texts that are too deep, or have numbers too long, to be decoded are the same when they are equal.
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
