"""The body of a secret. The functions that it names are parsed one by one, so that each problem names its place."""

from collections.abc import Iterator

from attrs import define
from msgspec import UnsetType

from domain.errors import Problem
from domain.identity import OwnerRefused, named_owner
from domain.scripts.language import InvalidLanguageTitle, pinned_title
from domain.secrets.secret import FUNCTIONS_MAX, VALUE_SIZE_MAX, named_function
from domain.secrets.service import FunctionName, SecretRequest
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.sessions import ENVELOPE_SIZE
from entrypoints.http.request import Request
from entrypoints.http.schemas.secrets import SecretEnvelope

_ESCAPED = 6
"""Written as a JSON string, a value may take so many times its size."""

_FORM = "must be OWNER/LANGUAGE-TITLE, such as alice/python-adder, with @ and a version behind it for one version"


@define
class SecretParser:
    """Parses secrets that are to be stored."""

    _bodies: BodyParser[SecretEnvelope]

    @classmethod
    def of(cls, options: HttpOptions, examiner: Examiner) -> "SecretParser":
        """Return the parser for these options."""
        size_max = _ESCAPED * VALUE_SIZE_MAX + ENVELOPE_SIZE
        return cls(BodyParser(SecretEnvelope, size_max, options.body_timeout_s, _rules, examiner))

    async def request(self, request: Request) -> SecretRequest:
        """Return the secret to store; raises what BodyParser.read raises."""
        body = await self._bodies.read(request)
        assert not isinstance(body.value, UnsetType), "the rules require it"
        functions = None if body.functions is None else tuple(filter(None, map(_function, body.functions)))
        return SecretRequest(body.value, functions)


def _rules(body: SecretEnvelope) -> Iterator[BodyProblem]:
    if isinstance(body.value, UnsetType):
        yield Problem("/value", "is required")
    functions = body.functions or []
    if len(functions) > FUNCTIONS_MAX:
        yield Problem("/functions", f"has {len(functions)} functions; the limit is {FUNCTIONS_MAX}")
    for at, text in enumerate(functions):
        if _function(text) is None:
            yield Problem(f"/functions/{at}", _FORM)


def _function(text: str) -> FunctionName | None:
    try:
        pinned_title(text.rpartition("/")[2])
        owner, title, version = named_function(text)
        return FunctionName(named_owner(owner), title, version)
    except (InvalidLanguageTitle, OwnerRefused, ValueError):
        return None
