"""Equality, differences and containment of JSON texts."""

import json
from collections.abc import Sequence
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


def contains(whole: JsonText, part: JsonText) -> bool:
    """Return whether a value contains another one, as `@>` of PostgreSQL's jsonb does.

    Each member of an object must be in the other one, and each item of an array must be contained in an item there.
    """
    return _contains(json.loads(whole), json.loads(part))


def changed_members(before: JsonText, after: JsonText) -> Sequence[str]:
    """Return the names of the members of an object that were added, changed or removed, in the order of the texts."""
    old, new = json.loads(before), json.loads(after)
    set_anew = [name for name, value in new.items() if name not in old or not _same(old[name], value)]
    return set_anew + [name for name in old if name not in new]


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(n in whole and _contains(whole[n], part[n]) for n in part)
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(_contains(item, wanted) for item in whole) for wanted in part)
    return _same(whole, part)


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
