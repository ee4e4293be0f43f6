"""The parts of a document that others refer to."""

from inspect import cleandoc
from typing import Any

import msgspec

from entrypoints.http.contracts.contract import In, Parameter, ResponseHeader

Json = dict[str, Any]


class Components:
    """Collects parts as they are used, and gives back references to them."""

    def __init__(self) -> None:
        self._sections: dict[str, Json] = {
            "schemas": {},
            "parameters": {},
            "headers": {},
            "responses": {},
            "securitySchemes": {},
        }

    def put(self, section: str, name: str, part: Json) -> Json:
        """Return a reference to a part; equal ones are one, and one that differs gets a number behind its name."""
        parts = self._sections[section]
        number = 1
        numbered = name
        while parts.setdefault(numbered, part) != part:
            number += 1
            numbered = f"{name}-{number}"
        return {"$ref": f"#/components/{section}/{numbered}"}

    def schema(self, kind: Any) -> Json:
        """Return the JSON Schema of a type; types with names of their own become parts."""
        (schema,), named = msgspec.json.schema_components((kind,), ref_template="#/components/schemas/{name}")
        for name, part in named.items():
            kept = self._sections["schemas"].setdefault(name, _typed(part))
            assert kept == _typed(part), f"Two payload types are named {name}: give one of them another name."
        return schema

    def own_schema(self, kind: Any) -> Json:
        """Return the JSON Schema of a type in place, though it has a name of its own."""
        reference = self.schema(kind)
        part: Json = self._sections["schemas"].pop(reference["$ref"].rpartition("/")[2])
        return part

    def parameter(self, parameter: Parameter) -> Json:
        """Return a parameter."""
        part: Json = {
            "name": parameter.name,
            "in": str(parameter.place),
            "description": parameter.description,
            "required": parameter.required or parameter.place is In.PATH,
            "schema": self.schema(parameter.kind),
        }
        if part["schema"].get("type") == "array":
            # Commas between the values, which a query does not have by default.
            part |= {"style": "form", "explode": False}
        if parameter.example is not None:
            part["example"] = parameter.example
        return part

    def header(self, header: ResponseHeader) -> Json:
        """Return a reference to a header of answers."""
        part = {
            "description": header.description,
            "required": header.always,
            "schema": self.schema(header.kind),
            "example": header.example,
        }
        return self.put("headers", header.name, part)

    def ordered(self) -> Json:
        """Return all parts by section and name."""
        sections = {section: dict(sorted(parts.items())) for section, parts in self._sections.items()}
        return {section: parts for section, parts in sections.items() if parts}


def _typed(part: Json) -> Json:
    """Tell the type of a choice of strings as well, and the docstring as it reads: Python 3.13 takes its margin away."""
    if "description" in part:
        part = {**part, "description": cleandoc(part["description"])}
    return {"type": "string", **part} if "enum" in part and "type" not in part else part
