"""The rows of environments in the table of routes."""

from functools import partial

from entrypoints.http.endpoints.environments import EnvironmentEndpoints
from entrypoints.http.openapi import environments as contracts
from entrypoints.http.route import Access, Route, RouteClass
from entrypoints.http.schemas.environments import EnvironmentBody, EnvironmentList, EnvironmentResponse

_admin = partial(Route, access=Access.ADMIN, route_class=RouteClass.SESSIONS)


# Columns: method, path, endpoint, name, contract, type of the body, type of the response.


def environment_routes(environments: EnvironmentEndpoints) -> tuple[Route, ...]:
    """Return the routes of environments."""
    every, one = "/api/v1/environments", "/api/v1/environments/{environment}/versions/{environment_version}"
    create, shown, body = environments.create, EnvironmentResponse, EnvironmentBody
    return (
        _admin("POST", every, create, "create_environment", contracts.CREATE, body, shown, status=202),
        _admin("GET", every, environments.list, "list_environments", contracts.LIST, None, EnvironmentList),
        _admin("GET", one, environments.get, "get_environment", contracts.GET, None, shown),
        _admin("DELETE", one, environments.retire, "retire_environment", contracts.RETIRE, status=204),
    )
