"""JSON as the origin's parser reads and writes it: members in order of their names, integers of 64 bits."""

import json
from typing import Any

_INTEGERS = range(-(2**63), 2**64)


def parse(text: str | bytes) -> Any:
    """Return the value; raises ValueError for what is no JSON, and for text that is no Unicode."""
    if isinstance(text, bytes):
        text = text.decode()
    value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refused)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def ordered(value: Any) -> Any:
    """Return the value with the members of its objects in order of their names."""
    if isinstance(value, dict):
        return {name: ordered(value[name]) for name in sorted(value)}
    return [ordered(each) for each in value] if isinstance(value, list) else value


def dumps(value: Any) -> str:
    """Return compact JSON; the members of an answer keep their order, those inside its values do not."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _integer(digits: str) -> int | float:
    number = int(digits)
    return number if number in _INTEGERS else _number(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number


def _refused(constant: str) -> Any:
    raise ValueError(f"expected value, not {constant}")
