"""The bodies of webhooks. Their events are parsed element by element, so that each problem names its place."""

from collections.abc import Iterator

import msgspec
from attrs import define
from msgspec import Raw, UnsetType

from domain.errors import Problem
from domain.json_pointer import pointer
from domain.webhooks.service import WebhookRequest
from domain.webhooks.webhook import DESCRIPTION_SIZE_MAX, ENDS, Event, WebhookChanges
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.json_scan import elements, starts_with
from entrypoints.http.parsing.sessions import ENVELOPE_SIZE
from entrypoints.http.request import Request
from entrypoints.http.schemas.fields import given
from entrypoints.http.schemas.webhooks import WebhookEnvelope, WebhookPatchEnvelope

_STORED = frozenset({"url", "description"})
_NAMES = tuple(sorted(ENDS))


@define
class WebhookParser:
    """Parses webhooks that are to be registered or changed."""

    _envelopes: BodyParser[WebhookEnvelope]
    _patches: BodyParser[WebhookPatchEnvelope]

    @classmethod
    def of(cls, options: HttpOptions, examiner: Examiner) -> "WebhookParser":
        """Return the parser for these options."""
        timeout_s, opaque = options.body_timeout_s, frozenset({"events"})
        return cls(
            BodyParser(WebhookEnvelope, ENVELOPE_SIZE, timeout_s, _rules, examiner, _STORED, opaque),
            BodyParser(WebhookPatchEnvelope, ENVELOPE_SIZE, timeout_s, _shared_rules, examiner, _STORED, opaque),
        )

    async def request(self, request: Request) -> WebhookRequest:
        """Return the webhook to register; raises what BodyParser.read raises."""
        body = await self._envelopes.read(request)
        assert not isinstance(body.url, UnsetType), "the rules require it"
        return WebhookRequest(body.url, _events(body.events, ENDS), body.description, body.enabled)

    async def changes(self, request: Request) -> WebhookChanges:
        """Return the changes of a webhook; raises what BodyParser.read raises."""
        body = await self._patches.read(request)
        events = None if isinstance(body.events, UnsetType) else _events(body.events, ENDS)
        return WebhookChanges(given(body.url), events, given(body.description), given(body.enabled))


def _rules(body: WebhookEnvelope) -> Iterator[BodyProblem]:
    if isinstance(body.url, UnsetType):
        yield Problem("/url", "is required: where messages are sent")
    yield from _shared_rules(body)


def _shared_rules(body: WebhookEnvelope | WebhookPatchEnvelope) -> Iterator[BodyProblem]:
    if not isinstance(body.description, UnsetType) and len(body.description) > DESCRIPTION_SIZE_MAX:
        yield Problem("/description", f"must have at most {DESCRIPTION_SIZE_MAX} characters")
    if isinstance(body.events, UnsetType):
        return
    found = elements(body.events, len(ENDS)) if starts_with(body.events, b"[") else None
    if found is None:
        yield Problem("/events", f"must be an array of at most {len(ENDS)} events")
    for index, raw in enumerate(found or ()):
        if _event(raw) is None:
            yield Problem(pointer(("events", index)), f"must be one of: {', '.join(_NAMES)}")


def _events(raw: Raw | UnsetType, default: frozenset[Event]) -> frozenset[Event]:
    if isinstance(raw, UnsetType):
        return default
    named = (_event(each) for each in elements(raw, len(ENDS)) or ())
    return frozenset(event for event in named if event is not None)


def _event(raw: Raw) -> Event | None:
    try:
        event = msgspec.json.decode(raw, type=Event)
    except msgspec.MsgspecError:
        return None
    return event if event in ENDS else None
