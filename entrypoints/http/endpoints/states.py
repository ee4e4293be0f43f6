"""Endpoints of the states of sessions."""

from domain.errors import Problem
from domain.states.service import StateService
from domain.states.state import SessionState
from entrypoints.http.errors import invalid
from entrypoints.http.parsing.bodies import json_text
from entrypoints.http.parsing.conditions import is_known, session_condition, session_match
from entrypoints.http.parsing.json_faults import NUL
from entrypoints.http.parsing.states import StateParsers
from entrypoints.http.request import Request
from entrypoints.http.response import Response, etag, json_response, not_modified
from entrypoints.http.schemas.states import StateResponse, StateValueResponse


class StateEndpoints:
    """Read, replace, change and remove a state, or one key of it."""

    def __init__(self, service: StateService, parsers: StateParsers) -> None:
        self._service = service
        self._parsers = parsers

    async def get(self, request: Request) -> Response:
        """Return the state."""
        condition = session_match(request)
        state = await self._service.get(request.reachable_session_ref, condition)
        return not_modified(state.version) if is_known(request, state.version) else _shown(state)

    async def replace(self, request: Request) -> Response:
        """Replace the state."""
        condition = session_condition(request)
        body = await self._parsers.state.read(request)
        return _shown(await self._service.replace(request.session_ref, json_text(body.state), condition))

    async def merge(self, request: Request) -> Response:
        """Apply a merge patch."""
        condition = session_condition(request)
        body = await self._parsers.patch.read(request)
        return _shown(await self._service.merge(request.session_ref, json_text(body.state), condition))

    async def remove(self, request: Request) -> Response:
        """Make the state an empty object."""
        return _shown(await self._service.remove(request.session_ref, session_condition(request)))

    async def get_key(self, request: Request) -> Response:
        """Return the value of a key."""
        condition = session_match(request)
        value = await self._service.get_key(request.reachable_session_ref, _key(request), condition)
        return not_modified(value.version) if is_known(request, value.version) else _shown_value(value)

    async def replace_key(self, request: Request) -> Response:
        """Replace the value of a key."""
        condition = session_condition(request)
        body = await self._parsers.value.read(request)
        value = json_text(body.value)
        state = await self._service.replace_key(request.session_ref, _key(request, stored=True), value, condition)
        return _shown_value(SessionState(state.version, value))

    async def remove_key(self, request: Request) -> Response:
        """Remove a key, and return the rest."""
        state = await self._service.remove_key(request.session_ref, _key(request), session_condition(request))
        return _shown(state)


def _key(request: Request, *, stored: bool = False) -> str:
    """Return the key in the path; raises InvalidRequest if it is not UTF-8, or if it is `stored` and has NUL."""
    key: str = request.parameters["state_key"]
    if stored and "\0" in key:
        raise invalid([Problem("/path/state_key", NUL)])
    if not request.has_utf8_path:
        raise invalid([Problem("/path/state_key", "must be percent-encoded UTF-8")])
    return key


def _shown(state: SessionState) -> Response:
    return json_response(StateResponse.of(state), headers=(etag(state.version),))


def _shown_value(value: SessionState) -> Response:
    return json_response(StateValueResponse.of(value.text, value.version), headers=(etag(value.version),))
