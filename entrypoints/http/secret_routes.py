"""The rows of secrets in the table of routes."""

from functools import partial

from entrypoints.http.endpoints.secrets import SecretEndpoints
from entrypoints.http.openapi.secrets import DELETE_SECRET, GET_SECRET, LIST_SECRETS, PUT_SECRET
from entrypoints.http.route import Access, Route, RouteClass
from entrypoints.http.schemas.secrets import SecretBody, SecretList, SecretResponse

_read = partial(Route, access=Access.READ_SECRETS, route_class=RouteClass.SESSIONS)
_write = partial(Route, access=Access.WRITE_SECRETS, route_class=RouteClass.SESSIONS)


# Columns: method, path, endpoint, name, contract, type of the body, type of the response.


def secret_routes(secrets: SecretEndpoints) -> tuple[Route, ...]:
    """Return the routes of secrets."""
    every, one = "/api/v1/secrets", "/api/v1/secrets/{secret_name}"
    return (
        _read("GET", every, secrets.list, "list_secrets", LIST_SECRETS, None, SecretList),
        _read("GET", one, secrets.get, "get_secret", GET_SECRET, None, SecretResponse),
        _write("PUT", one, secrets.put, "put_secret", PUT_SECRET, SecretBody, SecretResponse),
        _write("DELETE", one, secrets.delete, "delete_secret", DELETE_SECRET, status=204),
    )
