"""The OpenAPI document as a whole."""

import json
from collections.abc import Iterable

from entrypoints.http.contracts.contract import Tag
from entrypoints.http.contracts.error_details import ErrorDetails
from entrypoints.http.openapi.bounds import bounded
from entrypoints.http.openapi.components import Components, Json
from entrypoints.http.openapi.paths import path_item
from entrypoints.http.options import HttpOptions
from entrypoints.http.route import Route

_DESCRIPTION = """\
A session is a script with a language and a context: initialize it once, execute it many times.

- Every error has one shape: `error.code` for programs, `error.message` for people, `error.details` for both. What is not
  told at an operation: 404 `NOT_FOUND` where there is nothing at a path, 405 `METHOD_NOT_ALLOWED` with `Allow`, and
  `INVALID_REQUEST` with 414 or 431 where path and headers take more than 64 KiB, or there are more than 100 headers.
- `details.stored` and `details.executed` tell what was done where that is not plain; `Retry-After` stands only where
  repeating is safe.
- Times are RFC 3339 in UTC. JSON is UTF-8, objects nest at most 100 deep, numbers fit a double, and strings that are
  stored have no NUL.
- Answers have more fields as time goes by; bodies of requests with a field that is not known are refused.
- Where authentication is off, nobody needs a token or key.
"""
_TAGS = {
    Tag.SESSIONS: "Scripts with their context, and their life.",
    Tag.EXECUTIONS: "Runs of a session's script, and their history.",
    Tag.FUNCTIONS: "Scripts that are registered under their language-title.",
    Tag.OPERATIONS: "How the process is.",
}


def document(operations: Iterable[Route], options: HttpOptions, version: str) -> Json:
    """Return the document of the operations that are to be shown.

    Raises LookupError, saying what to add, where something is not told.
    """
    components = Components()
    shown = [operation for operation in operations if operation.contract is not None]
    paths: Json = {}
    tags: set[Tag] = set()
    for operation in shown:
        assert operation.contract is not None
        tags.add(operation.contract.tag)
        item = path_item(operation, operation.contract, components)
        paths.setdefault(operation.path, {})[operation.method.lower()] = item
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pglambda",
            "version": version,
            "summary": "Script sessions on PostgreSQL alone, run in a sandbox.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": ".", "description": "Where this document was found."}],
        "tags": [{"name": str(tag), "description": text} for tag, text in _TAGS.items() if tag in tags],
        "paths": paths,
        "components": _finished(components, options),
    }


def rendered(whole: Json) -> str:
    """Return a document as text that is the same for the same document."""
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def compact(whole: Json) -> bytes:
    """Return a document as it is sent."""
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def _finished(components: Components, options: HttpOptions) -> Json:
    details = components.schema(ErrorDetails)
    sections = components.ordered()
    schemas = bounded(sections["schemas"], options)
    schemas["Error"]["properties"]["details"] = details
    return sections | {"schemas": schemas}
