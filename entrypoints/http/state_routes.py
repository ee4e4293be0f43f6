"""The rows of states in the table of routes."""

from functools import partial

from entrypoints.http.endpoints.states import StateEndpoints
from entrypoints.http.openapi import states as contracts
from entrypoints.http.route import Access, Route, RouteClass
from entrypoints.http.schemas.states import (
    StateBody,
    StatePatchBody,
    StateResponse,
    StateValueBody,
    StateValueResponse,
)

_own = partial(Route, access=Access.OWNER, route_class=RouteClass.SESSIONS)


# Columns: method, path, endpoint, name, contract, type of the body, type of the response.


def state_routes(states: StateEndpoints) -> tuple[Route, ...]:
    """Return the routes of states."""
    whole, key = "/api/v1/sessions/{request_id}/state", "/api/v1/sessions/{request_id}/state/{state_key}"
    state, value = StateResponse, StateValueResponse
    remove, remove_key = contracts.DELETE_STATE, contracts.DELETE_STATE_KEY
    return (
        _own("GET", whole, states.get, "get_state", contracts.GET_STATE, None, state),
        _own("PUT", whole, states.replace, "put_state", contracts.PUT_STATE, StateBody, state),
        _own("PATCH", whole, states.merge, "patch_state", contracts.PATCH_STATE, StatePatchBody, state),
        _own("DELETE", whole, states.remove, "delete_state", remove, None, state),
        _own("GET", key, states.get_key, "get_state_key", contracts.GET_STATE_KEY, None, value),
        _own("PUT", key, states.replace_key, "put_state_key", contracts.PUT_STATE_KEY, StateValueBody, value),
        _own("DELETE", key, states.remove_key, "delete_state_key", remove_key, None, state),
    )
