"""What this server's own settings add to the schemas of bodies."""

from entrypoints.http.openapi.components import Json
from entrypoints.http.options import HttpOptions


def bounded(schemas: Json, options: HttpOptions) -> Json:
    """Return the schemas with this server's maxima; sizes in bytes are told in words, as JSON Schema counts characters."""
    sizes = {
        "script_content": options.script_size_max,
        "context": options.context_size_max,
        "metadata": options.metadata_size_max,
        "params": options.params_size_max,
    }
    maxima = {"timeout_ms": options.limits.timeout_ms_max, "memory_mb": options.limits.memory_mb_max}
    return {name: _of_body(name, schema, sizes, maxima) for name, schema in schemas.items()}


def _of_body(name: str, schema: Json, sizes: dict[str, int], maxima: dict[str, int]) -> Json:
    if not name.endswith("Body"):
        return schema
    members = {member: _member(member, part, sizes, maxima) for member, part in schema.get("properties", {}).items()}
    return schema | {"properties": members}


def _member(name: str, part: Json, sizes: dict[str, int], maxima: dict[str, int]) -> Json:
    if name in maxima:
        return part | {"maximum": maxima[name]}
    if name in sizes:
        return part | {"description": f"{part['description']} At most {sizes[name]} bytes of UTF-8."}
    return part
