"""Endpoints of environments."""

from http import HTTPStatus

from domain.environments.service import EnvironmentService
from entrypoints.http.parsing.bodies import BodyParser
from entrypoints.http.parsing.environments import asked_environment
from entrypoints.http.request import Request
from entrypoints.http.response import Response, json_response
from entrypoints.http.schemas.environments import (
    EnvironmentEnvelope,
    EnvironmentList,
    EnvironmentResponse,
    EnvironmentSummary,
)

_PATH = "/api/v1/environments"


class EnvironmentEndpoints:
    """Create, read, list and retire versions of environments."""

    def __init__(self, service: EnvironmentService, parser: BodyParser[EnvironmentEnvelope]) -> None:
        self._service = service
        self._parser = parser

    async def create(self, request: Request) -> Response:
        """Store the next version, which is built in the background; the same content again makes none."""
        asked = asked_environment(await self._parser.read(request))
        stored, is_new = await self._service.create(asked, request.actor)
        location = f"{_PATH}/{stored.version.name}/versions/{stored.version.version}"
        status = HTTPStatus.ACCEPTED if is_new or stored.status in ("queued", "building") else HTTPStatus.OK
        return json_response(EnvironmentResponse.whole(stored), status, ((b"location", location.encode()),))

    async def get(self, request: Request) -> Response:
        """Return a version with its packages and the logs of its builds."""
        return json_response(EnvironmentResponse.whole(await self._service.get(*_version(request))))

    async def list(self, _request: Request) -> Response:
        """Return all versions."""
        found = await self._service.versions()
        return json_response(EnvironmentList([*map(EnvironmentSummary.of, found)]))

    async def retire(self, request: Request) -> Response:
        """Let no further session use a version."""
        await self._service.retire(*_version(request), request.actor)
        return Response(HTTPStatus.NO_CONTENT)


def _version(request: Request) -> tuple[str, int]:
    parameters = request.parameters
    return parameters["environment"], parameters["environment_version"]
