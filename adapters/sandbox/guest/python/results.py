"""Writes results as JSON, and says which part of a result JSON cannot hold."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

from .frames import encode

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DEPTH_MAX = 200


class NotSerializable(Exception):
    """The result cannot be written as JSON, or what else `of` names."""

    of = "RESULT"


class ResultTooLarge(Exception):
    """The result, or what else `of` names, has more bytes as JSON than the limit; the argument is its size."""

    of = "RESULT"


def result_text(value: Any, size_max: int) -> bytes:
    """Return the result as JSON; raises NotSerializable, and ResultTooLarge over `size_max` bytes."""
    try:
        text = encode(value).encode()
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise NotSerializable(explanation(value, error)) from None
    if len(text) > size_max:
        raise ResultTooLarge(len(text))
    return text


def explanation(value: Any, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The result is nested too deeply for JSON."
    found = find_unserializable(value, "result", set(), 0)
    if found is None:
        return f"The result cannot be written as JSON: {error}."
    return f"{found[0]} is {found[1]}, which JSON cannot hold."


def find_unserializable(value: Any, path: str, above: set[int], depth: int) -> tuple[str, str] | None:
    """Return the path of the first value that JSON cannot hold, and what it is."""
    if depth > DEPTH_MAX:
        return path, "nested too deeply"
    if id(value) in above:
        return path, "an object that contains itself"
    if not isinstance(value, (dict, list, tuple)):
        return unserializable_leaf(value, path)
    if (found := unserializable_key(value, path)) is not None:
        return found
    children = (
        find_unserializable(child, child_path, above | {id(value)}, depth + 1)
        for child, child_path in children_of(value, path)
    )
    return next((found for found in children if found is not None), None)


def unserializable_key(value: Any, path: str) -> tuple[str, str] | None:
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, (str, int, float, bool, type(None))):
            return f"{path} (a key)", f"a value of type {type(key).__name__}"
    return None


def children_of(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items:
        yield child, f"{path}[{key!r}]"


def unserializable_leaf(value: Any, path: str) -> tuple[str, str] | None:
    try:
        encode(value).encode()
    except UnicodeEncodeError:
        return path, "a string with a lone surrogate"
    except (ValueError, OverflowError):
        return path, "an integer too large to write" if isinstance(value, int) else f"the number {value!r}"
    except TypeError:
        return path, f"a value of type {type(value).__name__}"
    return None
