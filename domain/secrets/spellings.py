"""The texts as which a script may write a secret without meaning to."""

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

LENGTH_MIN = 8
"""Characters of the shortest text that is looked for: shorter ones stand in many texts by chance."""

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
"""What may be the name of a host, which is shown in lower case."""
_LINE_LENGTH_MIN = 16
"""Characters of the shortest line that is looked for alone."""
_LINES_MAX = 64
_PEM_BOUNDARY = "-----"
"""What a line begins with that stands around every key."""
_BASE64_OFFSETS = 3
_BITS_OF_BYTE, _BITS_OF_DIGIT = 8, 6


def spellings(value: str) -> frozenset[str]:
    """Return the texts that give the value away: itself, and what usual encodings make of it."""
    return frozenset(text for text in _spellings(value) if len(text) >= LENGTH_MIN)


def escaped(text: str) -> frozenset[str]:
    """Return a text as it stands within a string of JSON, with and without escapes of other than ASCII."""
    return frozenset({json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]})


def _spellings(value: str) -> Iterator[str]:
    content = value.encode()
    yield from (value, value.strip(), value[::-1], repr(value)[1:-1])
    for text in escaped(value):
        yield from (text, *escaped(text))
    yield from sorted(_lines(value), key=len, reverse=True)[:_LINES_MAX]
    yield from (quote(value), quote(value, safe=""), quote_plus(value))
    if _HOST.fullmatch(host := value.strip()):
        yield host.lower()
    yield from (content.hex(), content.hex().upper())
    for offset in range(_BASE64_OFFSETS):
        digits = _base64(content, offset)
        yield from (digits, digits.translate(str.maketrans("+/", "-_")))


def _lines(value: str) -> frozenset[str]:
    lines = {line.strip() for line in value.splitlines()}
    return frozenset(each for each in lines if len(each) >= _LINE_LENGTH_MIN and not each.startswith(_PEM_BOUNDARY))


def _base64(content: bytes, offset: int) -> str:
    """Return the digits that the content has behind so many other bytes, without those that its neighbours decide."""
    encoded = base64.b64encode(bytes(offset) + content).decode()
    first = -(-offset * _BITS_OF_BYTE // _BITS_OF_DIGIT)
    return encoded[first : (offset + len(content)) * _BITS_OF_BYTE // _BITS_OF_DIGIT]
