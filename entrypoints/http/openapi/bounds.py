"""What this server's own settings add to the schemas of bodies."""

from collections.abc import Mapping

from entrypoints.http.openapi.components import Json
from entrypoints.http.options import HttpOptions

_BODIES = "Body"
"""What the names of types end with that callers send; answers are not bounded by settings."""


def bounded(schemas: Json, options: HttpOptions) -> Json:
    """Return the schemas with this server's maxima; sizes in bytes are words, as JSON Schema counts characters."""
    facets, sizes = _facets(options), _sizes(options)
    return {
        name: _with_bounds(schema, facets, sizes) if name.endswith(_BODIES) else schema
        for name, schema in schemas.items()
    }


def _facets(options: HttpOptions) -> Mapping[str, Json]:
    return {
        "timeout_ms": {"maximum": options.limits.timeout_ms_max},
        "memory_mb": {"maximum": options.limits.memory_mb_max},
        "items": {"minItems": 1, "maxItems": options.batch_items_max},
        "parallel": {"maximum": options.batch_parallel_max},
    }


def _sizes(options: HttpOptions) -> Mapping[str, int]:
    return {
        "script_content": options.script_size_max,
        "context": options.context_size_max,
        "metadata": options.metadata_size_max,
        "params": options.params_size_max,
    }


def _with_bounds(schema: Json, facets: Mapping[str, Json], sizes: Mapping[str, int]) -> Json:
    members = {name: part | facets.get(name, {}) for name, part in schema.get("properties", {}).items()}
    for name in members.keys() & sizes.keys():
        told = f"{members[name]['description']} At most {sizes[name]} bytes of UTF-8."
        members[name] = members[name] | {"description": told}
    return schema | {"properties": members}
