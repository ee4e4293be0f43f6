"""The part of the document that describes one route, and what is missing for it."""

import json
import re
from collections.abc import Iterator

from entrypoints.http.contract import Contract, In, Link, Parameter, ResponseHeader
from entrypoints.http.openapi.components import Components, Json
from entrypoints.http.openapi.error_catalog import samples_of
from entrypoints.http.openapi.errors import error_responses
from entrypoints.http.openapi.parameters import (
    IF_NONE_MATCH,
    KEY_EXPIRES_AT,
    PATH_PARAMETERS,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    REQUEST_ID_HEADER,
    X_REQUEST_ID,
)
from entrypoints.http.response import EVENT_STREAM, JSON, NDJSON
from entrypoints.http.route import Access, Route, needed_scopes

_EVENTS: Json = {
    "schema": {
        "type": "object",
        "description": "One Server-Sent Event: the members of a line of NDJSON as fields, data as JSON in one line.",
        "properties": {
            "id": {"type": "string"},
            "event": {"type": "string"},
            "data": {"type": "string", "contentMediaType": JSON.decode()},
            "retry": {"type": "integer"},
        },
    }
}
_BYTES = "application/octet-stream"
_NAMES = re.compile(r"\{(\w+)\}")
_SCHEMES: Json = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A signed token (RFC 7519). sub is the owner, scope lists the scopes, exp is required.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pgl_...",
        "description": "An API key, sent like a token. `pglambda keys create` creates one.",
    },
}


def path_item(route: Route, contract: Contract, components: Components) -> Json:
    """Return a route as an operation of OpenAPI. Raises LookupError if a parameter or an error is not documented."""
    item: Json = {
        "operationId": route.name,
        "tags": [str(contract.tag)],
        "summary": contract.summary,
        "description": contract.description + _scopes(route),
        "parameters": [_parameter(each, contract, components) for each in _parameters(route, contract)],
        "responses": _responses(route, contract, components),
        "security": _security(route.access, components),
    }
    if route.body is not None:
        item["requestBody"] = _request_body(route, contract, components)
    elif contract.binary_body:
        item["requestBody"] = _binary_body(contract)
    return item


def _path_parameters(path: str) -> tuple[Parameter, ...]:
    return tuple(PATH_PARAMETERS[name] for name in _NAMES.findall(path))


def _scopes(route: Route) -> str:
    needed = [f"`{scope}`" for scope in needed_scopes(route.access)]
    if len(needed) > 1:
        return f" Requires one of the scopes {', '.join(needed)}."
    return f" Requires the scope {needed[0]}." if needed else ""


def _parameters(route: Route, contract: Contract) -> Iterator[Parameter]:
    named = {each.name for each in contract.parameters if each.location is In.PATH}
    yield from (each for each in _path_parameters(route.path) if each.name not in named)
    yield from contract.parameters
    yield X_REQUEST_ID


def _parameter(parameter: Parameter, contract: Contract, components: Components) -> Json:
    """Return a reference to a parameter, or the parameter with the values that the examples of the route give it."""
    values = {
        example.name: {"summary": example.summary, "value": example.parameters[parameter.name]}
        for example in contract.examples
        if parameter.name in example.parameters
    }
    if not values:
        return components.put("parameters", parameter.name, components.parameter(parameter))
    inline = components.parameter(parameter)
    inline.pop("example", None)
    return inline | {"examples": values}


def _request_body(route: Route, contract: Contract, components: Components) -> Json:
    media: Json = {"schema": components.schema(route.body)}
    media["examples"] = {
        example.name: {"summary": example.summary, "value": example.body} for example in contract.examples
    }
    return {"required": not contract.body_optional, "content": {"application/json": media}}


def _binary_body(contract: Contract) -> Json:
    """Return a body of bytes; its media type may be any."""
    examples = {
        example.name: {"summary": example.summary, "value": example.body}
        for example in contract.examples
        if example.body is not None
    }
    media = {"schema": {"type": "string", "contentMediaType": _BYTES}, "examples": examples}
    return {"required": True, "content": {_BYTES: media}}


def _responses(route: Route, contract: Contract, components: Components) -> Json:
    responses = {str(route.status): _response(route, contract, components)}
    errors = error_responses(route, components)
    if route.method == "GET" and IF_NONE_MATCH in contract.parameters:
        headers = _headers(contract.headers, route, components)
        responses["304"] = {"description": "If-None-Match has the ETag of the current response.", "headers": headers}
    for status, kind in contract.other_responses.items():
        content = {JSON.decode(): {"schema": components.schema(kind)}}
        headers = _headers(contract.headers, route, components)
        assert str(status) not in errors, f"{route.name}: {status} is also the status of an error"
        responses[str(status)] = {"description": kind.__doc__, "headers": headers, "content": content}
    for status, reason in contract.binary_responses.items():
        headers = _headers(contract.headers, route, components)
        content = {"*/*": {"schema": {"type": "string", "contentMediaType": _BYTES}}}
        responses[str(status)] = {"description": reason, "headers": headers, "content": content}
    for status, reason in contract.bodiless.items():
        responses[str(status)] = {"description": reason, "headers": _headers((), route, components)}
    return dict(sorted((responses | errors).items()))


def _response(route: Route, contract: Contract, components: Components) -> Json:
    response: Json = {
        "description": _description(route),
        "headers": _headers(contract.headers, route, components),
    }
    if route.response is not None:
        response["content"] = (_lines if contract.lines else _value)(route, contract, components)
    if contract.links:
        response["links"] = {link.route: _link(link) for link in contract.links}
    return response


def _description(route: Route) -> str:
    if route.response is None or not route.response.__doc__:
        return "Success, without a body."
    return route.response.__doc__.partition("\n")[0]


def _lines(route: Route, contract: Contract, components: Components) -> Json:
    """Return the content of a stream: text, which is an array once its lines are decoded."""
    examples = {
        example.name: {"summary": example.summary, "value": json.dumps(example.response) + "\n"}
        for example in contract.examples
    }
    decoded = {"type": "array", "items": components.schema(route.response)}
    schema = {"type": "string", "contentMediaType": NDJSON.decode(), "contentSchema": decoded}
    media = {"schema": schema, "examples": examples}
    return {kind.decode(): _EVENTS if kind == EVENT_STREAM else media for kind in contract.lines}


def _value(route: Route, contract: Contract, components: Components) -> Json:
    schema = components.schema(route.response)
    if contract.alternative is not None:
        schema = {"anyOf": [schema, components.schema(contract.alternative)]}
    examples = {example.name: {"summary": example.summary, "value": example.response} for example in contract.examples}
    return {JSON.decode(): {"schema": schema, "examples": examples}}


def _headers(own: tuple[ResponseHeader, ...], route: Route, components: Components) -> Json:
    limited = () if route.route_class is None else (RATE_LIMIT, RATE_LIMIT_POLICY, KEY_EXPIRES_AT)
    return {header.name: components.header(header) for header in (*own, REQUEST_ID_HEADER, *limited)}


def _link(link: Link) -> Json:
    return {"operationId": link.route, "description": link.description, "parameters": dict(link.parameters)}


def _security(access: Access, components: Components) -> list[Json]:
    """Return the alternatives of what a caller must send."""
    if access is Access.OPEN:
        return []
    for name, scheme in _SCHEMES.items():
        components.put("securitySchemes", name, scheme)
    alternatives = [[scope] for scope in needed_scopes(access)] or [[]]
    required = [{name: scopes} for name in _SCHEMES for scopes in alternatives]
    return [{}, *required] if access is Access.DETAIL else required


def gaps(route: Route) -> Iterator[str]:
    """Yield what to add to a route for the document, one sentence each."""
    where = f"{route.method} {route.path} ({route.name})"
    contract = route.contract
    if contract is None:
        if route.shown:
            yield f"{where} has no contract: add one in entrypoints/http/openapi/, or set shown=False."
        return
    yield from (f"{where}: {gap}" for gap in (*_missing_parts(route, contract), *_missing_samples(route, contract)))


def _missing_parts(route: Route, contract: Contract) -> Iterator[str]:
    if not contract.examples:
        yield "its contract has no example: add a request that works, with its response."
    if route.body is not None and any(example.body is None for example in contract.examples):
        yield "an example has no body, although the route has one."
    if route.response is not None and any(example.response is None for example in contract.examples):
        yield "an example has no response, although the route has one."
    if route.response is None and route.status not in {204, 304, *contract.binary_responses}:
        yield "its row has no type of the response: add one in entrypoints/http/schemas/."
    for name in {name for example in contract.examples for name in example.parameters}:
        if name not in {parameter.name for parameter in contract.parameters}:
            yield f"an example sets {name}, which is not a parameter of the contract."


def _missing_samples(route: Route, contract: Contract) -> Iterator[str]:
    try:
        _path_parameters(route.path)
    except KeyError as error:
        yield f"add the path parameter {error} to PATH_PARAMETERS in entrypoints/http/openapi/parameters.py."
    try:
        samples_of(contract.errors)
    except LookupError as error:
        yield str(error)
