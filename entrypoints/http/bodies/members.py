"""The outermost values of a JSON text, as text: what is inside them is skipped, not decoded."""

from functools import lru_cache

import msgspec
from attrs import field, frozen
from msgspec import UNSET, Raw, Struct, UnsetType

MEMBERS_MAX = 100
"""No body has so many fields."""


class _Name(str):
    """A member's name; a type of its own, so that the decoder reports each one, repeated names too."""

    __slots__ = ()


class _TooManyError(ValueError):
    """An object has more than `MEMBERS_MAX` members."""


@frozen
class Members:
    """An object's names in order of arrival, and its values by name; of a repeated name the last value.

    Of an object with more than `MEMBERS_MAX` members `is_cut` is set and no value is known.
    """

    names: tuple[str, ...]
    values: dict[str, Raw] = field(repr=False)
    is_cut: bool = False

    @property
    def repeated(self) -> tuple[str, ...]:
        """The names that came more than once."""
        seen: set[str] = set()
        twice = [name for name in self.names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        return tuple(dict.fromkeys(twice))


def members(text: bytes | Raw) -> Members:
    """Return the members of a JSON object; raises msgspec.MsgspecError or RecursionError where it is none."""
    names: list[str] = []

    def note(_: type, name: str) -> _Name:
        if len(names) == MEMBERS_MAX:
            raise _TooManyError
        names.append(name)
        return _Name(name)

    try:
        values = msgspec.json.decode(text, type=dict[_Name, Raw], dec_hook=note)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, _TooManyError):
            return Members(tuple(names), {}, is_cut=True)
        raise
    return Members(tuple(names), {str(name): value for name, value in values.items()})


def elements(text: bytes | Raw, count_max: int) -> list[Raw] | None:
    """Return the elements of a JSON array, or None where there are more than `count_max`.

    Raises msgspec.MsgspecError or RecursionError where it is no array.
    """
    try:
        decoded = msgspec.json.decode(text, type=_array(count_max))
    except msgspec.ValidationError:
        msgspec.json.decode(text, type=_array(0, forbid_more=False))
        return None
    return [value for value in msgspec.structs.astuple(decoded) if value is not UNSET]


def starts_with(text: Raw, bracket: bytes) -> bool:
    """Return whether a valid JSON value begins with a bracket, so that it is an array or an object."""
    return bytes(memoryview(text)[:1]) == bracket


@lru_cache(maxsize=8)
def _array(count_max: int, *, forbid_more: bool = True) -> type[Struct]:
    """Return a type for arrays of at most `count_max` elements: the decoder stops at the first one too many."""
    fields = [(f"element_{index}", Raw | UnsetType, UNSET) for index in range(count_max)]
    return msgspec.defstruct("Elements", fields, array_like=True, forbid_unknown_fields=forbid_more)
