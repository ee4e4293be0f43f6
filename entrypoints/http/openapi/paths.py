"""What the document says of one operation."""

import re
from collections.abc import Iterator

from entrypoints.http.contracts.contract import Contract, Link, Parameter, ResponseHeader
from entrypoints.http.contracts.parameters import (
    PATH_PARAMETERS,
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    REQUEST_ID_HEADER,
    X_REQUEST_ID,
)
from entrypoints.http.openapi.components import Components, Json
from entrypoints.http.openapi.errors import error_responses
from entrypoints.http.openapi.security import needed_scopes, requirements
from entrypoints.http.route import Route

_NAMES = re.compile(r"\{(\w+)\}")


def path_parameters(path: str) -> tuple[Parameter, ...]:
    """Return the parameters of a path template. Raises LookupError for one that is not told."""
    return tuple(PATH_PARAMETERS[name] for name in _NAMES.findall(path))


def path_item(operation: Route, contract: Contract, components: Components) -> Json:
    """Return an operation as OpenAPI has it. Raises LookupError where something of it is not told."""
    item: Json = {
        "operationId": operation.name,
        "tags": [str(contract.tag)],
        "summary": operation.summary,
        "description": contract.description + _scopes(operation),
        "parameters": [_parameter(each, contract, components) for each in _parameters(operation, contract)],
        "responses": _responses(operation, contract, components),
        "security": requirements(operation.access, components),
    }
    if operation.takes is not None:
        item["requestBody"] = _request_body(operation, contract, components)
    return item


def _scopes(operation: Route) -> str:
    needed = " or ".join(f"`{scope}`" for scope in needed_scopes(operation.access))
    return f" Needs the scope {needed}." if needed else ""


def _parameters(operation: Route, contract: Contract) -> Iterator[Parameter]:
    yield from path_parameters(operation.path)
    yield from contract.parameters
    yield X_REQUEST_ID


def _parameter(parameter: Parameter, contract: Contract, components: Components) -> Json:
    """Return a reference to a parameter, or the parameter itself with the values that the operation's examples give."""
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


def _request_body(operation: Route, contract: Contract, components: Components) -> Json:
    media: Json = {"schema": components.schema(operation.takes)}
    media["examples"] = {
        example.name: {"summary": example.summary, "value": example.body} for example in contract.examples
    }
    return {"required": not contract.body_optional, "content": {"application/json": media}}


def _responses(operation: Route, contract: Contract, components: Components) -> Json:
    responses = {str(operation.status): _answer(operation, contract, components)}
    errors = error_responses(operation, components)
    for status, kind in contract.also.items():
        content = {contract.media_type: {"schema": components.schema(kind)}}
        headers = _headers(contract.headers, operation, components)
        also = {"description": kind.__doc__, "headers": headers, "content": content}
        assert str(status) not in errors, f"{operation.name}: {status} is an error as well"
        responses[str(status)] = also
    return dict(sorted((responses | errors).items()))


def _answer(operation: Route, contract: Contract, components: Components) -> Json:
    answer: Json = {
        "description": _description(operation),
        "headers": _headers(contract.headers, operation, components),
    }
    if operation.gives is not None:
        answer["content"] = {contract.media_type: _content(operation, contract, components)}
    if contract.links:
        answer["links"] = {link.operation: _link(link) for link in contract.links}
    return answer


def _description(operation: Route) -> str:
    if operation.gives is None or not operation.gives.__doc__:
        return "Done."
    return operation.gives.__doc__.partition("\n")[0]


def _content(operation: Route, contract: Contract, components: Components) -> Json:
    schema = components.schema(operation.gives)
    if contract.alternative is not None:
        schema = {"anyOf": [schema, components.schema(contract.alternative)]}
    examples = {example.name: {"summary": example.summary, "value": example.answer} for example in contract.examples}
    return {"schema": schema, "examples": examples}


def _headers(own: tuple[ResponseHeader, ...], operation: Route, components: Components) -> Json:
    limited = () if operation.route_class is None else (RATE_LIMIT, RATE_LIMIT_POLICY)
    return {header.name: components.header(header) for header in (*own, REQUEST_ID_HEADER, *limited)}


def _link(link: Link) -> Json:
    return {"operationId": link.operation, "description": link.description, "parameters": dict(link.parameters)}
