"""Endpoints of secrets."""

from http import HTTPStatus

from attrs import define

from domain.secrets.secret import SecretRef, StoredSecret
from domain.secrets.service import SecretService
from entrypoints.http.parsing.secrets import SecretParser
from entrypoints.http.request import Request
from entrypoints.http.response import Response, json_response
from entrypoints.http.schemas.secrets import SecretList, SecretResponse


@define(eq=False)
class SecretEndpoints:
    """Store, read without the value, list and remove secrets of the caller."""

    _service: SecretService
    _parser: SecretParser

    async def put(self, request: Request) -> Response:
        """Store a value as the next version of a secret."""
        wanted = await self._parser.request(request)
        for function in wanted.functions or ():
            request.caller.may_read_functions(function.owner)
        return self._shown(await self._service.put(_ref(request), wanted, request.actor))

    async def get(self, request: Request) -> Response:
        """Return what is known of a secret."""
        return self._shown(await self._service.get(_ref(request)))

    async def list(self, request: Request) -> Response:
        """Return the secrets of the caller by name."""
        found = await self._service.list(request.owner)
        return json_response(SecretList([self._response(secret) for secret in found]))

    async def delete(self, request: Request) -> Response:
        """Remove a secret."""
        await self._service.remove(_ref(request), request.actor)
        return Response(HTTPStatus.NO_CONTENT)

    def _response(self, secret: StoredSecret) -> SecretResponse:
        return SecretResponse.of(secret, is_openable=self._service.is_openable(secret))

    def _shown(self, secret: StoredSecret) -> Response:
        return json_response(self._response(secret))


def _ref(request: Request) -> SecretRef:
    return SecretRef(request.owner, request.parameters["secret_name"])
