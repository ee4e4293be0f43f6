"""Endpoints of functions."""

from enum import StrEnum
from http import HTTPStatus

from domain.functions.function import FunctionType, Precondition
from domain.functions.ports import FunctionFilter
from domain.functions.service import FunctionService
from domain.scripts.language import Language
from entrypoints.http.bodies.function_form import FunctionForm
from entrypoints.http.disconnect import until_hang_up
from entrypoints.http.middleware.caller import owner_of
from entrypoints.http.parameters import paging
from entrypoints.http.parameters.conditions import etag, function_condition
from entrypoints.http.parameters.queries import Query
from entrypoints.http.payloads.function_checks import FunctionCheck
from entrypoints.http.payloads.functions import FunctionList, FunctionResponse
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, json_answer

PAGES_MAX = 100_000


class Switch(StrEnum):
    """A parameter that is on or off."""

    ON = "true"
    OFF = "false"


class FunctionEndpoints:
    """Register, read, list, check and deactivate functions."""

    def __init__(self, service: FunctionService, form: FunctionForm) -> None:
        self._service = service
        self._form = form

    async def list(self, request: Request) -> Response:
        """Return a page of the functions."""
        query = Query(request.query_string, frozenset({"language", "type", "page", "per_page"}))
        wanted = FunctionFilter(query.choice("language", Language), query.choice("type", FunctionType))
        page = query.integer("page", 1, PAGES_MAX)
        per_page = query.integer("per_page", paging.SIZE, paging.SIZE_MAX)
        query.require()
        found = await self._service.list(wanted, (page - 1) * per_page, per_page)
        headers: Headers = ()
        if page * per_page < found.total and page < PAGES_MAX:
            filters: dict[str, str | int | None] = {"language": wanted.language, "type": wanted.type}
            headers = paging.next_link(request, {**filters, "page": page + 1, "per_page": per_page})
        return json_answer(FunctionList.of(found, page, per_page), headers=headers)

    async def get(self, request: Request) -> Response:
        """Return a function."""
        function = await self._service.get(_name(request))
        return json_answer(FunctionResponse.whole(function), headers=(etag(function.version),))

    async def put(self, request: Request) -> Response:
        """Register a function, or replace it."""
        query = Query(request.query_string, frozenset({"check"}))
        check = query.choice("check", Switch) is Switch.ON
        query.require()
        condition = function_condition(request)
        wanted = await self._form.read(request)
        registering = self._service.register(owner_of(request), _name(request), wanted, condition, check=check)
        registered = await until_hang_up(request.receive, registering)
        function = registered.function
        status = HTTPStatus.CREATED if registered.created else HTTPStatus.OK
        return json_answer(FunctionResponse.whole(function), status, (etag(function.version),))

    async def check(self, request: Request) -> Response:
        """Run a function's examples."""
        checking = self._service.check(owner_of(request), _name(request))
        return json_answer(FunctionCheck.of(await until_hang_up(request.receive, checking)))

    async def delete(self, request: Request) -> Response:
        """Deactivate a function."""
        condition: Precondition = function_condition(request)
        await self._service.deactivate(_name(request), condition)
        return Response(204)


def _name(request: Request) -> str:
    name: str = request.parameters["language_title"]
    return name
