"""Regular expressions of schemas: linear in the text, and bounded in what each byte of it costs."""

from attrs import define, field
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

_SIZES = (1024, 4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024)
"""Bytes of a compiled pattern, in classes; the engine tells which one a pattern is in by refusing the smaller ones."""

_STEPS_PER_KIB = 40
"""What a byte of text costs for each KiB of a compiled pattern at worst, measured: 400 ns, a step being 10 ns."""

_AUTOMATON_BYTES = 64 * 1024
"""What one pattern may keep of the automaton that it builds while it matches."""

_COUNT_MAX = 128
_BYTES_MAX = 1024 * 1024

SCAN_OF_FORMAT = 10
"""Steps that a format takes for each byte, about."""

REGEX_OPTIONS = RegexOptions(size_limit=_SIZES[-1], dfa_size_limit=_AUTOMATON_BYTES)


@define(eq=False)
class Patterns:
    """The patterns of one schema; `size` in bytes is what they take in all, compiled."""

    size: int = 0
    _steps: dict[str, int | None] = field(factory=dict)

    refusal = (
        "is no pattern that is taken here: neither look-around nor back-references, and at most "
        f"{_SIZES[-1] // 1024} KiB when compiled (repetitions count; minLength and maxLength are cheaper)"
    )

    def steps(self, pattern: str) -> int | None:
        """Return the steps that a byte of text costs at worst; None when the pattern cannot be compiled."""
        if pattern not in self._steps:
            size = next((size for size in _SIZES if _compiles(pattern, size)), None)
            self.size += size or 0
            self._steps[pattern] = _cost(size)
        return self._steps[pattern]

    @property
    def memory(self) -> int:
        """What they may take in memory, in bytes, with what they build while they match."""
        return self.size + _AUTOMATON_BYTES * len(self._steps)

    @property
    def excess(self) -> str | None:
        """Say what is too much of them together; None when nothing is."""
        if len(self._steps) > _COUNT_MAX:
            return f"has {len(self._steps)} patterns; {_COUNT_MAX} are allowed"
        if self.size > _BYTES_MAX:
            return f"has patterns of {self.size} bytes in all when compiled; {_BYTES_MAX} are allowed"
        return None


def _cost(size: int | None) -> int | None:
    if size is None or size == _SIZES[0]:
        return size and 1
    return size // 1024 * _STEPS_PER_KIB


def _compiles(pattern: str, size: int) -> bool:
    if len(pattern) > size:
        return False
    try:
        Draft202012Validator({"pattern": pattern}, pattern_options=RegexOptions(size_limit=size), offline=True)
    except ValidationError:
        return False
    return True
