"""The application of the origin's API, which shares everything but its routes and its shapes with the own API."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from attrs import field, frozen

from domain.scripts.language import LanguageMapping
from entrypoints.http.app import Shared
from entrypoints.http.middleware.cors import ANY_ORIGIN, Cors
from entrypoints.http.options import HttpOptions
from entrypoints.http.pipeline import Guard
from entrypoints.http.route import Route
from entrypoints.http.services import Services
from entrypoints.origin.bodies import execute_parser, initialize_parser
from entrypoints.origin.endpoints import (
    OriginFunctionEndpoints,
    OriginOptions,
    OriginOtherEndpoints,
    OriginSessionEndpoints,
    Spelled,
)
from entrypoints.origin.errors import origin_bug, origin_error
from entrypoints.origin.routes import Front, OriginEndpoints, OriginRoutes, routes

_REQUEST_HEADERS = b"*, Authorization"
_RESPONSE_HEADERS = (
    b"RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Api-Key-Expires-At, X-Error-Code, X-Request-ID"
)


async def _as_stored(_session_id: UUID) -> str | None:
    return None


def served_here(route: Route) -> Route:
    """Return the route as it is: without a front every call is served here."""
    return route


@frozen
class OriginHooks:
    """What the composition adds to the origin's API.

    `guards` find out who calls, and limit it. `authorization` guards need the session, so they run only for calls that
    are served here. `front` decides where a call is served. `spelled` knows the titles of sessions taken over.
    """

    guards: Sequence[Guard] = ()
    authorization: Sequence[Guard] = ()
    front: Front = served_here
    spelled: Spelled = _as_stored


class OriginApplication(Cors):
    """The ASGI application of the listener: pages of every origin may call unless CORS_ORIGINS names some.

    A client that has ended its side of the connection gets its reply, as at the origin, within `half_close_s`.
    """

    half_close_s = 30.0

    @staticmethod
    def error_body(code: str, message: str, details: Mapping[str, object]) -> object:  # noqa: ARG004  # as the server calls it
        """Return the body of an error that the server finds before there is a request."""
        return {"error": message}


@frozen
class OriginApi:
    """Makes the application of the listener from what the process has."""

    services: Services
    options: HttpOptions
    origin: OriginOptions
    mapping: LanguageMapping
    hooks: OriginHooks = field(factory=OriginHooks)

    def __call__(self, shared: Shared) -> OriginApplication:
        """Return the application of the listener."""
        table = [self.hooks.front(route) for route in routes(self._endpoints(shared))]
        pipeline = shared.pipeline(OriginRoutes(table), table, self.hooks.guards, origin_error, origin_bug)
        origins = self.options.cors_origins or (ANY_ORIGIN,)
        return OriginApplication(pipeline, origins, _REQUEST_HEADERS, _RESPONSE_HEADERS)

    def _endpoints(self, shared: Shared) -> OriginEndpoints:
        services, options, examiner = self.services, self.options, shared.examiner
        sessions = OriginSessionEndpoints(
            services.sessions,
            services.executions,
            self.mapping,
            self.origin,
            initialize_parser(options, examiner),
            execute_parser(options, examiner),
            self.hooks.authorization,
            self.hooks.spelled,
        )
        return OriginEndpoints(
            sessions,
            OriginFunctionEndpoints(services.functions, self.origin.functions_max),
            OriginOtherEndpoints(shared.health),
        )
