"""The endpoint at which runtime hosts register themselves."""

import hmac
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from attrs import define
from typing_extensions import override

from adapters.runtime_protocol import MalformedMessage, RegisterRequest, decode
from domain.errors import Problem, Unauthorized
from domain.hosts.host import NAME_PATTERN, RegisteredHost, Registration
from domain.hosts.service import HostRegistry, HostWatch
from entrypoints.http.errors import invalid
from entrypoints.http.parsing.bodies import read_body
from entrypoints.http.request import Request
from entrypoints.http.response import Response

_SIZE_MAX = 4096
_NAME = re.compile(NAME_PATTERN)


@define(eq=False)
class RuntimeTokenMissing(Unauthorized):
    """The request does not have RUNTIME_TOKEN."""

    code: ClassVar[str] = "UNAUTHORIZED"

    @property
    @override
    def message(self) -> str:
        return (
            "The request does not have the token of runtime hosts, so nothing was registered. Set RUNTIME_TOKEN to the "
            "same value here and at the host, which sends it as Authorization: Bearer."
        )


@define(eq=False)
class RuntimeHostEndpoint:
    """Registers runtime hosts that have the token."""

    _registry: HostRegistry
    _token: bytes
    _body_timeout_s: float

    async def put(self, request: Request) -> Response:
        """Register a host, as it is now."""
        if not has_token(request, self._token):
            raise RuntimeTokenMissing
        name: str = request.parameters["host_name"]
        if not _NAME.fullmatch(name):
            raise invalid([Problem("/name", f"in the path must match the pattern {NAME_PATTERN}")])
        content = await read_body(request, _SIZE_MAX, self._body_timeout_s)
        await self._registry.register(_registration(name, _message(content)))
        return Response(HTTPStatus.NO_CONTENT)


@define(eq=False)
class RuntimeHostHealth:
    """Reports the hosts that are registered, as this process has read them last."""

    _watch: HostWatch

    async def probe(self) -> Mapping[str, object]:
        """Return the hosts; "degraded" if the last read has failed."""
        read = self._watch.state
        hosts = [_facts(*each) for each in zip(read.hosts, read.standings, strict=True)]
        if read.failure:
            return {"status": "degraded", "reason": f"the directory cannot be read: {read.failure}", "hosts": hosts}
        return {"status": "ok", "hosts": hosts}


def has_token(request: Request, token: bytes) -> bool:
    """Return whether the request has this bearer token. How long it takes does not depend on the token."""
    scheme, _, given = (request.raw_header(b"authorization") or b"").partition(b" ")
    # The comparison comes first, so that its time does not depend on the scheme.
    return hmac.compare_digest(given.strip(), token) and scheme.lower() == b"bearer"


def _facts(host: RegisteredHost, standing: str) -> Mapping[str, object]:
    return {
        "name": host.name,
        "url": host.url,
        "address": str(host.address),
        "state": standing,
        "languages": host.languages,
        "runs_max": host.runs_max,
        "release": host.release,
        "registered_at": host.registered_at,
        "seen_at": host.seen_at,
    }


def _message(content: bytes) -> RegisterRequest:
    try:
        return decode(RegisterRequest, content)
    except MalformedMessage as error:
        text, _, path = str(error).partition(" - at `$")
        place = path.rstrip("`").partition("[")[0].replace(".", "/")
        raise invalid([Problem(place, text)]) from error


def _registration(name: str, body: RegisterRequest) -> Registration:
    return Registration(
        name=name,
        boot_id=body.boot_id,
        url=body.url,
        languages=tuple(dict.fromkeys(body.languages)),
        runs_max=body.runs_max,
        release=body.release,
        state=body.state,
    )
