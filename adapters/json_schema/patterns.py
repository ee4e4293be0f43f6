"""Regular expressions of schemas: linear in the text, with a bound on what each byte of it costs."""

from attrs import define, field
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

_SIZES = (1024, 4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024)
"""Bytes of a compiled pattern, in classes: the library refuses a pattern whose class is larger than its limit."""

_STEPS_PER_KIB = 10
"""Steps for each byte of a text and each KiB of a compiled pattern, at worst."""

_AUTOMATON_BYTES = 64 * 1024
"""What one pattern may keep of the automaton that it builds while it matches."""

SCAN_OF_FORMAT = 10
"""Steps that a format takes for each byte, about."""

_MEMORY_MAX = 9 * 1024 * 1024

REGEX_OPTIONS = RegexOptions(size_limit=_SIZES[-1], dfa_size_limit=_AUTOMATON_BYTES)

REFUSAL = (
    "is not accepted: a pattern may have neither look-around nor back-references, and may take at most "
    f"{_SIZES[-1] // 1024} KiB when compiled (repetitions count; minLength and maxLength are cheaper)"
)


@define(eq=False)
class Patterns:
    """The patterns of one schema, each with its size in bytes when compiled; 0 if it cannot be compiled.

    `memory` is what they may take in bytes, with what they build while they match.
    """

    memory: int = 0
    _sizes: dict[str, int] = field(factory=dict)

    def steps(self, pattern: str) -> int | None:
        """Return the steps for each byte of a text, at worst; None if the pattern cannot be compiled."""
        if self.excess is not None:
            return 0  # the schema is refused, and compiling takes time
        if pattern not in self._sizes:
            size = next((size for size in _SIZES if _compiles(pattern, size)), 0)
            self._sizes[pattern] = size
            self.memory += size + _AUTOMATON_BYTES
        size = self._sizes[pattern]
        return None if not size else 1 if size == _SIZES[0] else size // 1024 * _STEPS_PER_KIB

    @property
    def excess(self) -> str | None:
        """What is too much of them together, or None."""
        if self.memory <= _MEMORY_MAX:
            return None
        return (
            f"has patterns that may take more than {_MEMORY_MAX} bytes when compiled and used; "
            "use fewer or shorter ones"
        )


def _compiles(pattern: str, size: int) -> bool:
    if len(pattern) > size:
        return False
    try:
        Draft202012Validator({"pattern": pattern}, pattern_options=RegexOptions(size_limit=size), offline=True)
    except ValidationError:
        return False
    return True
