"""Regular expressions of Rust's crate `regex`, in the form of Python's `re`."""

import re
from collections.abc import Sequence

SIZE_MAX = 1000
"""Characters of a pattern."""


class PatternRefused(ValueError):
    """The pattern has syntax that means nothing, or something else, in Python; the text says which."""


_LEADING_FLAGS = re.compile(r"\(\?([ims]+)\)")
_CLASS = re.compile(r"(?<!\\)\[\^?\]?((?:\\.|[^\]\\])*)\]?")
_SET_OPERATION = re.compile(r"\[|&&|--|~~")

_REFUSED_ANYWHERE: Sequence[tuple[str, str]] = (
    (r"\\[pP]", r"the Unicode class \p; list its characters instead"),
    (r"\\[xuU]\{", r"a character as \x{...}; write the character itself"),
)
_REFUSED_OUTSIDE_CLASSES: Sequence[tuple[str, str]] = (
    (r"\\[z<>]|\\b\{", r"a boundary that Python does not have; use $ or \b"),
    (r"\\[1-9]|\(\?P=", "a backreference, which the origin cannot read either"),
    (r"\(\?<?[=!]|\(\?>|\(\?\(", "a look-around, which the origin cannot read either"),
    (r"\(\?<[A-Za-z_]", "a group (?<name>...); write (?P<name>...)"),
    (r"\(\?(?![:P]|[ims]+:)", "flags that Python does not have, or that do not stand at the beginning"),
    (r"(?<!\\)[*+?}][*+]", "a repeated repetition; put the inner one into (?:...)"),
)


def python_pattern(pattern: str) -> str:
    """Return a group that finds what the pattern finds in Rust; raises PatternRefused."""
    if len(pattern) > SIZE_MAX:
        raise PatternRefused(f"the pattern has {len(pattern)} characters, and {SIZE_MAX} are allowed; shorten it")
    leading = _LEADING_FLAGS.match(pattern)
    body = pattern if leading is None else pattern[leading.end() :]
    _require_common(pattern, body)
    group = f"(?{leading[1] if leading else ''}:{body})"
    try:
        re.compile(group)
    except re.error as error:
        raise PatternRefused(f"the pattern {pattern!r} is not valid in Python: {error}") from None
    return group


def _require_common(pattern: str, body: str) -> None:
    """Raise PatternRefused if the syntax does not mean the same in both languages."""
    plain = body.replace(r"\\", "__")  # a backslash that is escaped escapes nothing
    found = [words for sign, words in _REFUSED_ANYWHERE if re.search(sign, plain)]
    found += [words for sign, words in _REFUSED_OUTSIDE_CLASSES if re.search(sign, _CLASS.sub("_", plain))]
    if any(map(_SET_OPERATION.search, _CLASS.findall(plain))):
        found.append("a class within a class; list the characters instead")
    if found:
        raise PatternRefused(f"the pattern {pattern!r} has {found[0]}")
