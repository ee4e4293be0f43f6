"""The forms in which functions of the origin have their schemas and examples."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from domain.functions.function import Example
from domain.functions.schema import FunctionSchema
from domain.json_text import JsonText

_DOCUMENTED = frozenset({"params", "result"})


def read_schema(text: str | None) -> FunctionSchema:
    """Return the schemas: of params alone, as the samples have it, or `{params, result}` as it was documented."""
    stored = _value(text)
    if isinstance(stored, dict) and stored and stored.keys() <= _DOCUMENTED:
        return FunctionSchema(_text_or_none(stored.get("params")), _text_or_none(stored.get("result")))
    return FunctionSchema(_text_or_none(stored))


def is_json(text: str | None) -> bool:
    """Return whether a text can be read as JSON here; None stands for null."""
    return text in (None, "null") or _value(text) is not None


def read_examples(text: str | None) -> Sequence[tuple[Example, ...]]:
    """Return the readings of each example, none for one that has neither form."""
    stored = _value(text)
    if stored is None and is_json(text):
        return []
    return [tuple(_readings(each)) for each in stored] if isinstance(stored, list) else [()]


def _readings(stored: Any) -> Iterator[Example]:
    """Yield the readings of one example.

    The samples have params beside `result`, which is the result or a member of it. The documents have
    `{"request": {"params": ...}, "response": {"result": ...}}`, whose response is the result or has it.
    """
    if not isinstance(stored, dict):
        return
    request, response = stored.get("request"), stored.get("response")
    if isinstance(request, dict) and "params" in request and response is not None:
        if isinstance(response, dict) and "result" in response:
            yield from _example(request["params"], response["result"])
        yield from _example(request["params"], response)
    elif "result" in stored:
        params = {name: value for name, value in stored.items() if name != "result"}
        yield from _example(params, stored["result"])
        yield from _example(params, {"result": stored["result"]})


def _example(params: Any, result: Any) -> Iterator[Example]:
    try:
        yield Example(_text(params), _text(result))
    except ValueError:
        return  # a number beyond a double


def _value(text: str | None) -> Any:
    """Return a JSON value; None for null, and for one that is nested too deep or has a number that is too long."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> JsonText:
    return JsonText(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _text_or_none(value: Any) -> JsonText | None:
    try:
        return None if value is None else _text(value)
    except (ValueError, RecursionError):
        return None
