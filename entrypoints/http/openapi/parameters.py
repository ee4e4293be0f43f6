"""Parameters of requests and headers of responses that several routes share."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from domain.environments.environment import NAME_PATTERN as ENVIRONMENT_PATTERN
from domain.grants.secrets import NAME_PATTERN
from domain.idempotency import KEY_PATTERN
from domain.identity import OWNER_SIZE_MAX
from domain.live.position import EVENT_ID_PATTERN
from domain.scripts.language import PINNED_PATTERN, PINNED_SIZE_MAX, TITLE_PATTERN, TITLE_SIZE_MAX, Language
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Status
from entrypoints.http.contract import In, Parameter, ResponseHeader
from entrypoints.http.parsing.conditions import TAGS_PATTERN
from entrypoints.http.parsing.cursors import CURSOR_LENGTH_MAX, CURSOR_PATTERN
from entrypoints.http.parsing.queries import PAGE_SIZE, PAGE_SIZE_MAX, Instant

REQUEST_ID = Parameter(
    "request_id",
    In.PATH,
    UUID,
    "The id of the session, from the response of initialize. A text that is not a UUID gives 404.",
    "01a2101f-9ff2-79ec-8000-000000000001",
    required=True,
)
EXECUTION_ID = Parameter(
    "execution_id",
    In.PATH,
    UUID,
    "The id of the execution, from the response of execute. A text that is not a UUID gives 404.",
    "01a2101f-a3da-7b64-8000-000000000002",
    required=True,
)
SCHEDULE_ID = Parameter(
    "schedule_id",
    In.PATH,
    UUID,
    "The id of the schedule. A text that is not a UUID gives 404.",
    "01a2101f-9ff2-79ec-8000-000000000003",
    required=True,
)
ENVIRONMENT = Parameter(
    "environment",
    In.PATH,
    Annotated[str, Meta(pattern=ENVIRONMENT_PATTERN)],
    "The name of the environment.",
    "data",
    required=True,
)
ENVIRONMENT_VERSION = Parameter(
    "environment_version",
    In.PATH,
    Annotated[int, Meta(ge=1, le=999_999_999)],
    "The version of the environment.",
    1,
    required=True,
)
FUNCTION_TITLE = Parameter(
    "language_title",
    In.PATH,
    Annotated[str, Meta(pattern=TITLE_PATTERN, max_length=TITLE_SIZE_MAX)],
    "The language-title of the function: language, hyphen and title, such as nodejs-calculator.",
    "python-adder",
    required=True,
)
PINNED_TITLE = Parameter(
    "language_title",
    In.PATH,
    Annotated[str, Meta(pattern=PINNED_PATTERN, max_length=PINNED_SIZE_MAX)],
    "The language-title of the function, such as nodejs-calculator. @ and a number at its end name a version of it, "
    "such as nodejs-calculator@3.",
    "python-adder",
    required=True,
)
WEBHOOK_ID = Parameter(
    "webhook_id",
    In.PATH,
    UUID,
    "The id of the webhook, from the response of its registration. A text that is not a UUID gives 404.",
    "01a2101f-a3da-7b64-8000-000000000004",
    required=True,
)
DELIVERY_ID = Parameter(
    "delivery_id",
    In.PATH,
    UUID,
    "The id of the delivery, which receivers get as webhook-id. A text that is not a UUID gives 404.",
    "01a2101f-a3da-7b64-8000-000000000005",
    required=True,
)
FILE_ID = Parameter(
    "file_id",
    In.PATH,
    UUID,
    "The id of the file, from the response of its upload. A text that is not a UUID gives 404.",
    "01a2101f-a3da-7b64-8000-000000000006",
    required=True,
)
STATE_KEY = Parameter(
    "state_key",
    In.PATH,
    Annotated[str, Meta(min_length=1)],
    "A key of the state, percent-encoded.",
    "count",
    required=True,
)
SECRET_NAME = Parameter(
    "secret_name",
    In.PATH,
    Annotated[str, Meta(pattern=NAME_PATTERN)],
    "The name of the secret: A to Z, 0 to 9 and _, at most 64.",
    "API_KEY",
    required=True,
)
PATH_PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        REQUEST_ID,
        EXECUTION_ID,
        FUNCTION_TITLE,
        WEBHOOK_ID,
        DELIVERY_ID,
        SCHEDULE_ID,
        STATE_KEY,
        FILE_ID,
        SECRET_NAME,
        ENVIRONMENT,
        ENVIRONMENT_VERSION,
    )
}
"""The parameters of path templates, by name; a contract may have another one of the name."""

LANGUAGE_TITLE = Parameter(
    "Language-Title",
    In.HEADER,
    Annotated[str, Meta(pattern=PINNED_PATTERN, max_length=PINNED_SIZE_MAX)],
    "The language of the script, a hyphen and a title, such as nodejs-calculator. Without script_content, it names a "
    "function of the caller, or else a shared one; @ and a number at its end name a version of it that is kept, such "
    "as nodejs-calculator@3.",
    "python-adder",
    required=True,
)
IF_MATCH = Parameter(
    "If-Match",
    In.HEADER,
    Annotated[str, Meta(pattern=TAGS_PATTERN)],
    "Serve the call only if the current ETag is one of these, of at most eight, or `*`. The number of a "
    'version in quotes, such as "1", also matches.',
    '"1"',
)
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    In.HEADER,
    Annotated[str, Meta(pattern=TAGS_PATTERN)],
    "Serve the call only if the current ETag is none of these, of at most eight, or `*`. Otherwise a GET gets 304, and "
    "other methods get 412.",
    '"1.0.0"',
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    In.HEADER,
    Annotated[str, Meta(pattern=KEY_PATTERN)],
    "A name that the caller chooses for this call. Repeating the call with the same key returns the first response, "
    "and nothing runs twice. The service stores keys for 24 hours.",
    "order-4711",
)
X_REQUEST_ID = Parameter(
    "X-Request-ID",
    In.HEADER,
    str,
    "An id that finds the call in the logs: 1 to 128 letters, digits and `._:+/=@-`. The service makes one if it is "
    "absent or has another form.",
    "7f3a-1",
)
LIMIT = Parameter(
    "limit",
    In.QUERY,
    Annotated[int, Meta(ge=1, le=PAGE_SIZE_MAX)],
    f"Maximum number of items on the page; the default is {PAGE_SIZE}.",
    20,
)
CURSOR = Parameter(
    "cursor",
    In.QUERY,
    Annotated[str, Meta(pattern=CURSOR_PATTERN, max_length=CURSOR_LENGTH_MAX)],
    "The unchanged next_cursor of the previous page. It is valid for the same list with the same filters.",
    None,
)
EXECUTION_STATUS = Parameter("status", In.QUERY, ExecutionStatus, "Only executions with this status.", "failed")
OUTCOME = Parameter(
    "outcome", In.QUERY, ExecutionStatus, "As status. The next release does not accept it: use status.", "failed"
)
SINCE = Parameter(
    "since",
    In.QUERY,
    Instant,
    "Only executions that were admitted at this instant or later (RFC 3339).",
    "2026-11-25T12:00:00Z",
)
STATUS = Parameter("status", In.QUERY, Status, "Only sessions with this status.", "active")
LANGUAGE = Parameter("language", In.QUERY, Language, "Only scripts in this language.", "python")

OWNER = Parameter(
    "owner",
    In.QUERY,
    Annotated[str, Meta(min_length=1, max_length=OWNER_SIZE_MAX)],
    "For admins: the sessions of this owner; * lists those of all owners. The default is the caller's own sessions.",
    None,
)

ETAG = ResponseHeader(
    "ETag",
    Annotated[str, Meta(pattern='^"[0-9a-f.]+(?:shared)?"$')],
    "A strong entity tag of what the response shows. That of a session also changes with each execution. Send it in "
    "If-Match or If-None-Match.",
    '"1.0.3600000000"',
)
LINK = ResponseHeader(
    "Link",
    str,
    "A link to the next page (RFC 8288), if there is one.",
    '</api/v1/sessions?limit=50&cursor=WyJzIl0>; rel="next"',
    always=False,
)
REPLAYED_HEADER = ResponseHeader(
    "Idempotent-Replayed",
    Annotated[str, Meta(pattern="^true$")],
    "Present if this is the stored response of the first call with the Idempotency-Key.",
    "true",
    always=False,
)
REQUEST_ID_HEADER = ResponseHeader("X-Request-ID", str, "An id that finds the call in the logs.", "7f3a-1")
RETRY_AFTER = ResponseHeader(
    "Retry-After",
    Annotated[int, Meta(ge=0)],
    "Repeat the call after so many seconds. Present only if repeating is safe.",
    1,
    always=False,
)
WWW_AUTHENTICATE = ResponseHeader(
    "WWW-Authenticate",
    str,
    "The credential or scope that the call needs (RFC 6750).",
    'Bearer error="invalid_token"',
    always=False,
)
RATE_LIMIT = ResponseHeader(
    "RateLimit",
    str,
    "The calls that are left (r), and the seconds until there is one more (t). Present if a rate limit is set.",
    '"execute";r=99;t=1',
    always=False,
)
KEY_EXPIRES_AT = ResponseHeader(
    "X-Api-Key-Expires-At",
    datetime,
    "When the caller's API key ends. Present from 14 days before that on.",
    "2026-12-01T12:00:00Z",
    always=False,
)
RATE_LIMIT_POLICY = ResponseHeader(
    "RateLimit-Policy",
    str,
    "The number of calls (q) that the caller may make in a window of seconds (w). Present if a rate limit is set.",
    '"execute";q=100;w=60',
    always=False,
)

PREFER = Parameter(
    "Prefer",
    In.HEADER,
    str,
    "respond-async and wait=N (0 to 60), as in RFC 7240. cancel-on-disconnect ends the execution if the caller leaves "
    "a stream of live events, or a wait, before the end. Unknown preferences are ignored.",
    "respond-async, wait=10",
)
EventId = Annotated[str, Meta(pattern=EVENT_ID_PATTERN)]
LAST_EVENT_ID = Parameter(
    "Last-Event-ID",
    In.HEADER,
    EventId,
    "The id of the last event that the reader has received. 400 if it is beyond what the execution has written, as far "
    "as that is known: after the end only stdout is.",
    None,
)
PREFERENCE_APPLIED = ResponseHeader(
    "Preference-Applied", str, "The preferences that were honoured.", "respond-async", always=False
)
LOCATION = ResponseHeader(
    "Location", str, "The execution, of a response 202.", f"/api/v1/executions/{EXECUTION_ID.example}", always=False
)
ACCEPTED_HEADERS = (PREFERENCE_APPLIED, LOCATION)
