"""A JSON Schema as a graph of its subschemas, and the parts of it that the service refuses."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from adapters.json_schema.patterns import REFUSAL, SCAN_OF_FORMAT, Patterns
from adapters.json_schema.problems import MARKS
from adapters.json_schema.weight import EVERY, LISTED, NAMED, NOWHERE, SAME_VALUE, Price, Subschema, Weight
from domain.errors import Problem
from domain.json_pointer import pointer

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DEFINITIONS = ("$defs", "definitions")
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies", *_DEFINITIONS})
_RELATIONS = {
    SAME_VALUE: ("not", "if", "then", "else", "allOf", *MARKS, "dependentSchemas", "dependencies"),
    NAMED: ("properties",),
    LISTED: ("prefixItems",),
    EVERY: (
        *("additionalProperties", "unevaluatedProperties", "patternProperties", "propertyNames"),
        *("items", "contains", "unevaluatedItems"),
    ),
    NOWHERE: _DEFINITIONS,
}
"""The keywords whose subschemas apply to the same value, to the member of one name or place, or to all members."""

_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_ELSEWHERE = ("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary")
_Path = tuple[str | int, ...]


class Document:
    """The subschemas of a schema that is valid by its dialect; `problems` are other reasons to refuse it."""

    def __init__(self, root: Any) -> None:
        self.problems: list[Problem] = []
        self.patterns = Patterns()
        self._root = root
        self._subschemas: dict[int, Subschema] = {}
        self._anchors: dict[str, Any] = {}
        self._moved: dict[int, str] = {}
        self._referring: list[Subschema] = []
        self._top = self._add(root, ())
        while self._referring:
            self._follow(self._referring.pop())
        if self.patterns.excess is not None:
            self.problems.append(Problem("", self.patterns.excess))

    def weight(self) -> Weight:
        """Return what checking with the schema costs; raises Endless."""
        return Weight.of(self._top, self._subschemas.values())

    def wrap_alternatives(self) -> None:
        """Rewrite anyOf and oneOf so that a misfit is one error; the same values fit.

        The library would collect the errors of every value below every alternative: 2 GB for a megabyte of items.
        """
        for one in self._subschemas.values():
            wrapped = [
                {"if": {name: one.schema.pop(name)}, "else": {"not": mark}}
                for name, mark in MARKS.items()
                if isinstance(one.schema, dict) and name in one.schema
            ]
            if wrapped:
                one.schema["allOf"] = [*one.schema.get("allOf", ()), *wrapped]

    def _add(self, schema: Any, path: _Path) -> Subschema:
        known = self._subschemas.get(id(schema))
        if known is None:
            known = self._subschemas[id(schema)] = Subschema(schema, path)
            if isinstance(schema, dict):
                self._read(schema, known)
        return known

    def _read(self, schema: Mapping[str, Any], subschema: Subschema) -> None:
        self.problems.extend(_refused(schema, subschema.path))
        if "$anchor" in schema:
            if schema["$anchor"] in self._anchors:
                self.problems.append(Problem(pointer((*subschema.path, "$anchor")), "names another part too"))
            self._anchors[schema["$anchor"]] = schema
        if "$ref" in schema:
            self._referring.append(subschema)
        for relation, names in _RELATIONS.items():
            subschema.parts[relation].extend(self._parts(subschema, names))
        subschema.price = Price.of(schema, self._scan(schema, subschema.path))
        subschema.repeats += sum(name in schema for name in _UNEVALUATED)

    def _parts(self, whole: Subschema, names: Iterable[str]) -> Iterator[Subschema]:
        for name in names:
            for where, part in _members(name, whole.schema.get(name)):
                if isinstance(part, (dict, bool)):
                    yield self._add(part, (*whole.path, *where))

    def _scan(self, schema: Mapping[str, Any], path: _Path) -> int:
        patterns = [((*path, "pattern"), schema["pattern"])] if "pattern" in schema else []
        patterns += [((*path, "patternProperties", name), name) for name in schema.get("patternProperties", ())]
        scan = SCAN_OF_FORMAT if "format" in schema else 0
        for where, pattern in patterns:
            steps = self.patterns.steps(pattern)
            if steps is None:
                self.problems.append(Problem(pointer(where), REFUSAL))
            scan += steps or 0
        return scan

    def _follow(self, subschema: Subschema) -> None:
        """Add what a subschema refers to, which may have references of its own."""
        reference, where = subschema.schema["$ref"], (*subschema.path, "$ref")
        if not reference.startswith("#"):
            return  # refused already
        fragment = unquote(reference[1:])
        try:
            target = self._target(fragment)
        except (LookupError, TypeError, ValueError):
            self.problems.append(Problem(pointer(where), "refers to nothing in this schema"))
            return
        subschema.parts[SAME_VALUE].append(self._add(target, where))
        if not MARKS.keys().isdisjoint(fragment.split("/")):
            subschema.schema["$ref"] = self._defined(target)

    def _target(self, fragment: str) -> Any:
        if fragment and not fragment.startswith("/"):
            return self._anchors[fragment]
        target = self._root
        for segment in fragment.split("/")[1:]:
            name = segment.replace("~1", "/").replace("~0", "~")
            target = target[int(name) if isinstance(target, list) and name.isdecimal() else name]
        if isinstance(target, (dict, bool)):
            return target
        raise LookupError(fragment)

    def _defined(self, target: Any) -> str:
        """Return a reference to a part that `wrap_alternatives` may move."""
        definitions = self._root.setdefault("$defs", {})
        name = self._moved.get(id(target)) or f"moved-{len(definitions)}"
        while definitions.setdefault(name, target) is not target:
            name += "-"
        self._moved[id(target)] = name
        return f"#/$defs/{name}"


def _members(name: str, value: Any) -> list[tuple[_Path, Any]]:
    """Return what may be the schemas of a keyword, with the path to each."""
    if isinstance(value, list) or name in _MAPS:
        pairs = enumerate(value) if isinstance(value, list) else (value or {}).items()
        return [((name, key), member) for key, member in pairs]
    return [((name,), value)]


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
            yield Problem(pointer((*path, name)), "is not accepted here; use $ref with #/$defs/...")
