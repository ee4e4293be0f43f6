"""Endpoints of functions."""

from enum import StrEnum
from http import HTTPStatus

from domain.functions.function import FunctionType, Precondition
from domain.functions.ports import FunctionFilter
from domain.functions.service import FunctionService
from domain.scripts.language import Language
from entrypoints.http.answer import Answer, Headers, json_answer
from entrypoints.http.bodies.function_form import FunctionForm
from entrypoints.http.door.caller import owner_of
from entrypoints.http.hang_up import until_hang_up
from entrypoints.http.parameters import paging
from entrypoints.http.parameters.conditions import etag, function_condition
from entrypoints.http.parameters.queries import Query
from entrypoints.http.payloads.function_checks import FunctionCheck
from entrypoints.http.payloads.functions import Function, FunctionList
from entrypoints.http.request import Request

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

    async def list(self, request: Request) -> Answer:
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

    async def get(self, request: Request) -> Answer:
        """Return a function."""
        function = await self._service.get(_name(request))
        return json_answer(Function.whole(function), headers=(etag(function.version),))

    async def put(self, request: Request) -> Answer:
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
        return json_answer(Function.whole(function), status, (etag(function.version),))

    async def check(self, request: Request) -> Answer:
        """Run a function's examples."""
        checking = self._service.check(owner_of(request), _name(request))
        return json_answer(FunctionCheck.of(await until_hang_up(request.receive, checking)))

    async def delete(self, request: Request) -> Answer:
        """Deactivate a function."""
        condition: Precondition = function_condition(request)
        await self._service.deactivate(_name(request), condition)
        return Answer(204)


def _name(request: Request) -> str:
    name: str = request.parameters["language_title"]
    return name
