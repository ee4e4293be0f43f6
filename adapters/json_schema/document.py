"""A JSON Schema as a graph of its subschemas, and what of it is not taken."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from attrs import define, field

from adapters.json_schema import numbers
from adapters.json_schema.numbers import Operands
from adapters.json_schema.patterns import SCAN_OF_FORMAT, Patterns
from domain.errors import Problem
from domain.json_pointer import pointer

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_IN_PLACE = ("not", "if", "then", "else")
_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE_MAPS = ("dependentSchemas", "dependencies")
_EVERY_MEMBER = (
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "items",
    "contains",
    "unevaluatedItems",
)
_ELSEWHERE = ("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary")
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_SCHEMAS_APART = frozenset({"$defs", "definitions", "contentSchema"})
_UNIQUE_ITEM = 100
"""Steps of the hash of an item."""
_Path = tuple[str | int, ...]


@define(eq=False)
class Subschema:
    """One schema of a document.

    `literals` is what it costs for each value, `fractions` for each number in a value that is no small integer, `scan`
    for each byte of a string, in steps; `unique` is how often it compares the items of a value. `beside` are schemas of
    the same value; one member of a value is seen by one of `named` or of `listed`, and by all of `every`. `repeats` is
    how often others may be asked.
    """

    path: _Path
    literals: int = 1
    fractions: int = 0
    unique: int = 0
    scan: int = 0
    repeats: int = 1
    beside: list["Subschema"] = field(factory=list)
    named: list["Subschema"] = field(factory=list)
    listed: list["Subschema"] = field(factory=list)
    every: list["Subschema"] = field(factory=list)


class Document:
    """The subschemas of a schema that is valid by the dialect's own; `problems` is what is not taken all the same."""

    def __init__(self, root: Any) -> None:
        self.problems: list[Problem] = []
        self.patterns = Patterns()
        self.subschemas: list[Subschema] = []
        self._root = root
        self._known: dict[int, Subschema] = {}
        self._anchors: dict[str, Any] = {}
        self._references: list[tuple[Subschema, str]] = []
        self.root = self._add(root, ())
        self._resolve()
        if self.patterns.excess is not None:
            self.problems.append(Problem("", self.patterns.excess))

    def _add(self, schema: Any, path: _Path) -> Subschema:
        known = self._known.get(id(schema)) if isinstance(schema, dict) else None
        if known is not None:
            return known
        subschema = Subschema(path)
        self.subschemas.append(subschema)
        if isinstance(schema, dict):
            self._known[id(schema)] = subschema
            self._read(schema, subschema)
        return subschema

    def _read(self, schema: Mapping[str, Any], subschema: Subschema) -> None:
        path = subschema.path
        self.problems.extend(_refused(schema, path))
        if "$anchor" in schema:
            if schema["$anchor"] in self._anchors:
                self.problems.append(Problem(pointer((*path, "$anchor")), "is the name of another part as well"))
            self._anchors[schema["$anchor"]] = schema
        if "$ref" in schema:
            self._references.append((subschema, schema["$ref"]))
        subschema.beside += self._parts(schema, path, _IN_PLACE, _IN_PLACE_LISTS, _IN_PLACE_MAPS)
        subschema.named += self._parts(schema, path, maps=("properties",))
        subschema.listed += self._parts(schema, path, lists=("prefixItems",))
        subschema.every += self._parts(schema, path, _EVERY_MEMBER, maps=("patternProperties",))
        self._parts(schema, path, maps=("$defs", "definitions"))
        for name, value in schema.items():
            operands = _operands(name, value)
            subschema.literals += operands.value
            subschema.fractions += operands.fraction
        subschema.unique += schema.get("uniqueItems") is True
        subschema.scan += self._scan(schema, path)
        subschema.repeats += sum(name in schema for name in _UNEVALUATED)

    def _parts(
        self,
        schema: Mapping[str, Any],
        path: _Path,
        single: Iterable[str] = (),
        lists: Iterable[str] = (),
        maps: Iterable[str] = (),
    ) -> list[Subschema]:
        found = [((*path, name), schema[name]) for name in single if name in schema]
        for name in (*lists, *maps):
            members = schema.get(name, ())
            pairs = members.items() if isinstance(members, dict) else enumerate(members)
            found += [((*path, name, key), member) for key, member in pairs]
        return [self._add(member, where) for where, member in found if isinstance(member, (dict, bool))]

    def _scan(self, schema: Mapping[str, Any], path: _Path) -> int:
        patterns = [((*path, "pattern"), schema["pattern"])] if "pattern" in schema else []
        patterns += [((*path, "patternProperties", name), name) for name in schema.get("patternProperties", ())]
        scan = SCAN_OF_FORMAT if "format" in schema else 0
        for where, pattern in patterns:
            steps = self.patterns.steps(pattern)
            if steps is None:
                self.problems.append(Problem(pointer(where), self.patterns.refusal))
            scan += steps or 0
        return scan

    def _resolve(self) -> None:
        """Follow references; what they lead to may have references of its own."""
        while self._references:
            subschema, reference = self._references.pop()
            try:
                target = self._target(reference)
            except (LookupError, TypeError, ValueError):
                self.problems.append(Problem(pointer((*subschema.path, "$ref")), "refers to nothing in this schema"))
                continue
            subschema.beside.append(self._add(target, (*subschema.path, "$ref")))

    def _target(self, reference: str) -> Any:
        fragment = unquote(reference.removeprefix("#"))
        if not reference.startswith("#"):
            return True  # refused already
        if fragment and not fragment.startswith("/"):
            return self._anchors[fragment]
        target = self._root
        for segment in fragment.split("/")[1:]:
            name = segment.replace("~1", "/").replace("~0", "~")
            target = target[int(name) if isinstance(target, list) and name.isdecimal() else name]
        if isinstance(target, (dict, bool)):
            return target
        raise LookupError(reference)


def _refused(schema: Mapping[str, Any], path: _Path) -> Iterator[Problem]:
    if not schema.get("$ref", "#").startswith("#"):
        yield Problem(pointer((*path, "$ref")), "must stay within this schema (#/...): nothing is fetched")
    if "$id" in schema and path:
        yield Problem(pointer((*path, "$id")), "must not be below the top: this schema is one document")
    if schema.get("$schema", DIALECT).rstrip("#") != DIALECT:
        yield Problem(pointer((*path, "$schema")), f"must be {DIALECT}, or left out")
    if schema.get("format") == "regex":
        yield Problem(pointer((*path, "format")), "must not be regex: patterns in params are not compiled")
    for name in _ELSEWHERE:
        if name in schema:
            yield Problem(pointer((*path, name)), "is not taken here; use $ref with #/$defs/...")


def _operands(name: str, value: Any) -> Operands:
    """Return what a keyword costs: as much as it names, or what was measured of it."""
    if name in _SCHEMAS_APART:
        return Operands(0, 0)
    if numbers.is_bound(name):
        return numbers.of_bound(name, value)
    if name in {"enum", "const"}:
        return numbers.of_options(value if name == "enum" else [value])
    if name == "uniqueItems" and value:
        return Operands(_UNIQUE_ITEM, numbers.UNIQUE)
    return Operands(1 + (len(value) if isinstance(value, (dict, list)) else 0), 0)
