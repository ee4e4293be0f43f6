"""The OpenAPI document as a whole, with the limits of this server."""

import json
from collections.abc import Iterable, Mapping

from entrypoints.http.contract import Tag
from entrypoints.http.openapi.components import Components, Json
from entrypoints.http.openapi.error_catalog import MEANINGS
from entrypoints.http.openapi.paths import path_item
from entrypoints.http.options import HttpOptions
from entrypoints.http.route import Route
from entrypoints.http.schemas.errors import ErrorDetails

_DESCRIPTION = """\
A session is a script with a language and a context. Initialize it once, and execute it many times.

- Every error has the same form: `error.code` for programs, `error.message` for people, `error.details` for both. All
  routes may also return 404 `NOT_FOUND` for an unknown path, 405 `METHOD_NOT_ALLOWED` with `Allow`, 417
  `EXPECTATION_FAILED` for an `Expect` other than 100-continue, and `INVALID_REQUEST` with 414 or 431 if path and
  headers take more than 64 KiB, or if there are more than 100 headers.
- `details.stored` and `details.executed` say what the service did before the error. `Retry-After` is present only if
  repeating the call is safe.
- Times are RFC 3339 in UTC. JSON is UTF-8, nested at most 100 levels deep. Numbers must fit a double. Strings that are
  stored must not contain NUL.
- An empty body is as no body. `Content-Type` may then be absent.
- Later releases may add fields to responses. Requests with unknown fields or unknown query parameters are
  rejected.
- If authentication is off, callers need no token or key.
"""
_INFO = {
    "title": "pglambda",
    "summary": "Script sessions on PostgreSQL, executed in a sandbox.",
    "description": _DESCRIPTION,
    "license": {"name": "MIT", "identifier": "MIT"},
}
_TAGS = {
    Tag.SESSIONS: "Scripts with their context, from initialize to close.",
    Tag.EXECUTIONS: "Runs of the script of a session, and their history.",
    Tag.FILES: "Files that callers upload, and that scripts write.",
    Tag.FUNCTIONS: "Scripts that are registered under a language-title.",
    Tag.OPERATIONS: "The state of the process.",
}
_CODES: Json = {
    "type": "string",
    "description": "The kind of error, for programs. Each response describes the codes that it may have.",
    "enum": sorted(MEANINGS),
}
_BODIES = "Body"
"""The end of the names of request types. Settings limit requests only."""


def document(routes: Iterable[Route], options: HttpOptions, version: str) -> Json:
    """Return the document of the routes with a contract. Raises LookupError if a parameter or an error is missing."""
    components = Components()
    paths: Json = {}
    tags: set[Tag] = set()
    for route in routes:
        if route.contract is not None:
            tags.add(route.contract.tag)
            item = path_item(route, route.contract, components)
            paths.setdefault(route.path, {})[route.method.lower()] = item
    return {
        "openapi": "3.1.0",
        "info": _INFO | {"version": version},
        "servers": [{"url": ".", "description": "The place of this document."}],
        "tags": [{"name": str(tag), "description": text} for tag, text in _TAGS.items() if tag in tags],
        "paths": paths,
        "components": _finished(components, options),
    }


def rendered(whole: Json) -> str:
    """Return a document as indented text."""
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def compact(whole: Json) -> bytes:
    """Return a document as it is served."""
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def _finished(components: Components, options: HttpOptions) -> Json:
    """Return the components with the types that the structs of bodies leave open, and with the limits."""
    error = {"code": components.put("schemas", "ErrorCode", _CODES), "details": components.schema(ErrorDetails)}
    sections = components.ordered()
    schemas = _bounded(sections["schemas"], options)
    schemas["Error"]["properties"] |= error
    return sections | {"schemas": schemas}


def _bounded(schemas: Json, options: HttpOptions) -> Json:
    """Return the schemas with the limits of this server. Sizes in bytes are text, as JSON Schema counts characters."""
    facets, sizes = _facets(options), _sizes(options)
    return {
        name: _with_bounds(schema, facets, sizes) if name.endswith(_BODIES) else schema
        for name, schema in schemas.items()
    }


def _facets(options: HttpOptions) -> Mapping[str, Json]:
    return {
        "ttl_seconds": {"maximum": options.ttl_seconds_max},
        "timeout_ms": {"maximum": options.limits.timeout_ms_max},
        "memory_mb": {"maximum": options.limits.memory_mb_max},
        "items": {"minItems": 1, "maxItems": options.batch_items_max},
        "parallel": {"maximum": options.batch_parallel_max},
    }


def _sizes(options: HttpOptions) -> Mapping[str, str]:
    metadata = f"{options.metadata_size_max} bytes of UTF-8 and {options.metadata_values_max} values"
    return {
        "script_content": f"{options.script_size_max} bytes of UTF-8",
        "context": f"{options.context_size_max} bytes of UTF-8",
        "metadata": f"{metadata}, at all levels together",
        "params": f"{options.params_size_max} bytes of UTF-8",
    }


def _with_bounds(schema: Json, facets: Mapping[str, Json], sizes: Mapping[str, str]) -> Json:
    members = {name: _optional(part) | facets.get(name, {}) for name, part in schema.get("properties", {}).items()}
    for name in members.keys() & sizes.keys():
        description = f"{members[name]['description']} At most {sizes[name]}."
        members[name] = members[name] | {"description": description}
    return schema | {"properties": members}


def _optional(part: Json) -> Json:
    """Return a field of a request with its default in words: generators take a field with a default for required."""
    if "default" not in part:
        return part
    part = dict(part)
    text = f"The default is {json.dumps(part.pop('default'))}."
    return part | {"description": f"{part['description']} {text}" if "description" in part else text}
