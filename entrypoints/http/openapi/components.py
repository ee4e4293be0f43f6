"""The components of a document, to which other parts refer."""

from inspect import cleandoc
from typing import Any

import msgspec

from entrypoints.http.contract import In, Parameter, ResponseHeader

Json = dict[str, Any]


class Components:
    """Collects components as they are used, and returns references to them."""

    def __init__(self) -> None:
        self._sections: dict[str, Json] = {
            "schemas": {},
            "parameters": {},
            "headers": {},
            "responses": {},
            "securitySchemes": {},
        }

    def put(self, section: str, name: str, part: Json) -> Json:
        """Return a reference to a component. Equal ones are stored once; a different one gets a number."""
        parts = self._sections[section]
        number = 1
        numbered = name
        while parts.setdefault(numbered, part) != part:
            number += 1
            numbered = f"{name}-{number}"
        return {"$ref": f"#/components/{section}/{numbered}"}

    def schema(self, kind: Any) -> Json:
        """Return the JSON Schema of a type. Named types become components."""
        (schema,), named = msgspec.json.schema_components((kind,), ref_template="#/components/schemas/{name}")
        for name, part in named.items():
            kept = self._sections["schemas"].setdefault(name, _typed(part))
            assert kept == _typed(part), f"Two types of bodies are named {name}: rename one of them."
        return schema

    def parameter(self, parameter: Parameter) -> Json:
        """Return a parameter."""
        part: Json = {
            "name": parameter.name,
            "in": str(parameter.location),
            "description": parameter.description,
            "required": parameter.required or parameter.location is In.PATH,
            "schema": self.schema(parameter.type),
        }
        if parameter.example is not None:
            part["example"] = parameter.example
        return part

    def header(self, header: ResponseHeader) -> Json:
        """Return a reference to a header of responses."""
        part = {
            "description": header.description,
            "required": header.always,
            "schema": self.schema(header.type),
            "example": header.example,
        }
        return self.put("headers", header.name, part)

    def ordered(self) -> Json:
        """Return all components by section and name."""
        sections = {section: dict(sorted(parts.items())) for section, parts in self._sections.items()}
        return {section: parts for section, parts in sections.items() if parts}


def _typed(part: Json) -> Json:
    """Add the type to enums of strings, and remove the indentation of docstrings, which Python 3.13 does itself."""
    if "description" in part:
        part = {**part, "description": cleandoc(part["description"])}
    if "properties" in part:
        part = {**part, "properties": {name: _open(each) for name, each in part["properties"].items()}}
    return {"type": "string", **part} if "enum" in part and "type" not in part else part


def _open(part: Json) -> Json:
    """Say of an object with any members that it may have some: generators of typed clients take it for empty else."""
    is_object = "object" in part.get("type", ())
    return {**part, "additionalProperties": True} if is_object and "additionalProperties" not in part else part
