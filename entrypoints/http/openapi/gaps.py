"""What the route table does not tell of an operation, and the document needs."""

from collections.abc import Iterator

from entrypoints.http.contracts.contract import Contract
from entrypoints.http.contracts.error_samples import samples_of
from entrypoints.http.openapi.paths import path_parameters
from entrypoints.http.route import Route


def gaps(operation: Route) -> Iterator[str]:
    """Yield what to add to an operation, one sentence each; nothing if all is there."""
    where = f"{operation.method} {operation.path} ({operation.name})"
    contract = operation.contract
    if contract is None:
        if operation.shown:
            yield f"{where} has no contract: write one in entrypoints/http/contracts/, or say shown=False."
        return
    yield from (f"{where}: {gap}" for gap in (*_parts(operation, contract), *_lookups(operation, contract)))


def _parts(operation: Route, contract: Contract) -> Iterator[str]:
    if not contract.examples:
        yield "its contract has no example: add a request that works, with its answer."
    if operation.takes is not None and any(example.body is None for example in contract.examples):
        yield "an example has no body, and the operation takes one."
    if operation.gives is not None and any(example.answer is None for example in contract.examples):
        yield "an example has no answer, and the operation gives one."
    if operation.gives is None and operation.status not in {204, 304}:
        yield "its row has no type that it gives: add one to entrypoints/http/payloads/."
    for name in {name for example in contract.examples for name in example.parameters}:
        if name not in {parameter.name for parameter in contract.parameters}:
            yield f"an example sets {name}, which is not among the contract's parameters."


def _lookups(operation: Route, contract: Contract) -> Iterator[str]:
    try:
        path_parameters(operation.path)
    except KeyError as error:
        yield f"add the path parameter {error} to PATH_PARAMETERS in entrypoints/http/contracts/parameters.py."
    try:
        samples_of(contract.errors)
    except LookupError as error:
        yield str(error)
