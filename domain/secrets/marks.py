"""The marks that stand in the place of secrets, and texts that are cut beside them."""

import re

_OPENING = "[secret "
_MARK = re.compile(r"\[secret [A-Z][A-Z0-9_]{0,63}\]")
MARK_LENGTH_MAX = len(_OPENING) + 64 + 1
"""Characters of the longest mark."""
_CONTINUES, _CONTINUATION = 0b1100_0000, 0b1000_0000
"""The bits of a byte of UTF-8 by which it belongs to a character that has begun before it, and their value then."""


def mark_of(name: str) -> str:
    """Return the mark of a secret."""
    return f"{_OPENING}{name}]"


def shortened(text: str, length_max: int) -> str:
    """Return the first characters of a text, at most so many, without a mark of which they have only a part."""
    return text if len(text) <= length_max else text[: _before_mark(text, length_max)]


def shortened_bytes(text: str, size_max: int) -> str:
    """Return what of a text has at most so many bytes of UTF-8, without a part of a mark.

    A lone surrogate stands for a byte, as `surrogateescape` decodes it.
    """
    content = text.encode("utf-8", "surrogateescape")
    if len(content) <= size_max:
        return text
    end = size_max
    while end > 0 and content[end] & _CONTINUES == _CONTINUATION:
        end -= 1
    return text[: _before_mark(text, len(content[:end].decode("utf-8", "surrogateescape")))]


def _before_mark(text: str, end: int) -> int:
    """Return a place at or before `end` that is in no mark."""
    for mark in _MARK.finditer(text, max(0, end - MARK_LENGTH_MAX), end + MARK_LENGTH_MAX):
        if mark.start() < end < mark.end():
            return mark.start()
    return end
