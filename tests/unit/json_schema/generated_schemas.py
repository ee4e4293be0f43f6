"""Schemas that are too long to write down, by name: whether they are accepted, and the schemas."""

import json
from typing import Any


def doubled(levels: int, keyword: str = "allOf") -> dict[str, Any]:
    """Return a schema that looks at one value 2 ** levels times."""
    steps: dict[str, Any] = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": steps | {f"d{levels}": {"type": "integer"}}, "$ref": "#/$defs/d0"}


def ladder(rung: str, levels: int = 30) -> dict[str, Any]:
    """Return a schema of rungs; `$next` in a rung refers to the rung below."""
    steps = {f"d{n}": json.loads(rung.replace("$next", f"#/$defs/d{n + 1}")) for n in range(levels)}
    return {"$defs": steps | {f"d{levels}": {"type": "object"}}, "$ref": "#/$defs/d0"}


def unevaluated(levels: int) -> dict[str, Any]:
    """Return a schema that looks for unevaluated members at each of its levels."""
    schema: dict[str, Any] = {"properties": {"a": True}}
    for _ in range(levels):
        schema = {"unevaluatedProperties": False, "allOf": [schema]}
    return schema


TWO_LISTS_OF_ITSELF = {
    "$ref": "#/$defs/n",
    "$defs": {
        "n": {
            "anyOf": [
                {"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 0},
                {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 99},
            ]
        }
    },
}

ACCEPTED: dict[str, Any] = {
    "a thousand strings": {"enum": [f"value-{n}" for n in range(1000)]},
    "a thousand integers": {"enum": list(range(1000))},
    "five thousand integers": {"items": {"enum": list(range(5000))}},
    "two hundred fractions": {"items": {"enum": [n + 0.5 for n in range(200)]}},
    "a hundred patterns": {"properties": {f"p{n}": {"pattern": f"^{n}$"} for n in range(100)}},
    "two hundred properties": {"properties": {f"p{n}": {"type": "integer"} for n in range(200)}},
    "a hundred nullable fields": {
        "properties": {
            f"p{n}": {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "null"}]} for n in range(100)
        },
        "additionalProperties": False,
    },
    "a hundred alternatives": {"items": {"anyOf": [{"required": [f"a{n}"]} for n in range(100)]}},
    "a thousand alternatives": {"anyOf": [{"const": n} for n in range(1000)]},
    "three hundred conditions": {
        "allOf": [{"if": {"properties": {"k": {"const": n}}}, "then": {"required": [f"v{n}"]}} for n in range(300)]
    },
    "two thousand lengths": {"allOf": [{"maxLength": 10**6 + n} for n in range(2000)]},
    "three thousand required": {"required": [str(n) for n in range(3000)]},
    "doubled 12 times": doubled(12),
    "any of doubled 8 times": doubled(8, "anyOf"),
    "unevaluated 8 deep": unevaluated(8),
    "a ladder of one way": ladder('{"anyOf": [{"type": "null"}, {"items": {"$ref": "$next"}}]}'),
    "a ladder of two names": ladder('{"properties": {"a": {"$ref": "$next"}, "b": {"$ref": "$next"}}}'),
    "a long chain of references": ladder('{"$ref": "$next"}', levels=1500),
    "a ring of items": {
        "$defs": {f"d{n}": {"items": {"$ref": f"#/$defs/d{(n + 1) % 1000}"}} for n in range(1000)},
        "$ref": "#/$defs/d0",
    },
    "lists doubled at each level": {"allOf": [{"items": {"$ref": "#"}}] * 2},
    "names doubled at each level": {"allOf": [{"properties": {"x": {"$ref": "#"}}}] * 2},
    "two lists of itself": TWO_LISTS_OF_ITSELF,
    "two maps of itself": {"additionalProperties": {"$ref": "#"}, "patternProperties": {".*": {"$ref": "#"}}},
}

REFUSED: dict[str, Any] = {
    "longer than a schema may be": {"const": "x" * 70_000},
    "seven hundred fractions": {"items": {"enum": [n + 0.5 for n in range(700)]}},
    "a hundred long integers": {"enum": [[10**20 + n] for n in range(100)]},
    "a hundred and thirty tiny bounds": {"allOf": [{"minimum": 1e-300}] * 130},
    "two hundred patterns": {"properties": {f"p{n}": {"pattern": f"^{n}$"} for n in range(200)}},
    "fifteen hundred bad patterns": {"allOf": [{"pattern": f"\\p{{L}}{{{n}}}"} for n in range(100, 1600)]},
    "doubled 30 times": doubled(30),
    "any of doubled 30 times": doubled(30, "anyOf"),
    "one of doubled 30 times": doubled(30, "oneOf"),
    "a ladder of two schemas": ladder('{"dependentSchemas": {"a": {"$ref": "$next"}, "b": {"$ref": "$next"}}}'),
    "a ladder of two conditions": ladder('{"if": {"$ref": "$next"}, "then": {"$ref": "$next"}}'),
    "unevaluated 16 deep": unevaluated(16),
    "two thousand lists of itself": {"anyOf": [{"items": {"$ref": "#"}}] * 2000},
}
