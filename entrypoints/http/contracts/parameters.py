"""Parameters of paths, queries and headers, and headers of answers, that operations share."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from domain.identity import OWNER_SIZE_MAX
from domain.scripts.language import TITLE_PATTERN, TITLE_SIZE_MAX, Language
from domain.scripts.report import Outcome
from domain.sessions.session import Status
from entrypoints.http.contracts.contract import In, Parameter, ResponseHeader
from entrypoints.http.parameters.conditions import TAGS_PATTERN
from entrypoints.http.parameters.cursors import CURSOR_LENGTH_MAX, CURSOR_PATTERN
from entrypoints.http.parameters.idempotency import KEY_PATTERN
from entrypoints.http.parameters.paging import SIZE, SIZE_MAX
from entrypoints.http.parameters.queries import Instant

REQUEST_ID = Parameter(
    "request_id",
    In.PATH,
    UUID,
    "The session's id, as initialize gave it. What is no UUID names no session: 404.",
    "01a2101f-9ff2-79ec-8000-000000000001",
    required=True,
)
EXECUTION_ID = Parameter(
    "execution_id",
    In.PATH,
    UUID,
    "The execution's id, as execute gave it. What is no UUID names no execution: 404.",
    "01a2101f-a3da-7b64-8000-000000000002",
    required=True,
)
FUNCTION_NAME = Parameter(
    "language_title",
    In.PATH,
    Annotated[str, Meta(pattern=TITLE_PATTERN, max_length=TITLE_SIZE_MAX)],
    "Language and title of the function, as in nodejs-calculator.",
    "python-adder",
    required=True,
)
PATH_PARAMETERS = {parameter.name: parameter for parameter in (REQUEST_ID, EXECUTION_ID, FUNCTION_NAME)}
"""The parameters of path templates by name."""

LANGUAGE_TITLE = Parameter(
    "Language-Title",
    In.HEADER,
    Annotated[str, Meta(pattern=TITLE_PATTERN, max_length=TITLE_SIZE_MAX)],
    "Language and title of the script, as in nodejs-calculator.",
    "python-adder",
    required=True,
)
IF_MATCH = Parameter(
    "If-Match",
    In.HEADER,
    Annotated[str, Meta(pattern=TAGS_PATTERN)],
    'Change it only if it has one of these versions: the ETag of an answer, up to eight of them, or "*".',
    '"1"',
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    In.HEADER,
    Annotated[str, Meta(pattern=KEY_PATTERN)],
    "The caller's own name for this call: whoever repeats the call with it gets the first one's answer, and nothing "
    "is done twice. Remembered for 24 hours.",
    "order-4711",
)
X_REQUEST_ID = Parameter(
    "X-Request-ID",
    In.HEADER,
    str,
    "An id to find the call by in the logs; one is made where it is missing, or is not of 1 to 128 letters, digits "
    "and `._:+/=@-`.",
    "7f3a-1",
)
LIMIT = Parameter(
    "limit",
    In.QUERY,
    Annotated[int, Meta(ge=1, le=SIZE_MAX)],
    f"How many items a page has at most; {SIZE} where it is left out.",
    20,
)
CURSOR = Parameter(
    "cursor",
    In.QUERY,
    Annotated[str, Meta(pattern=CURSOR_PATTERN, max_length=CURSOR_LENGTH_MAX)],
    "The next_cursor of the page before, unchanged; it belongs to one list and its filters.",
    None,
)
OUTCOME = Parameter("outcome", In.QUERY, Outcome, "Executions that ended so only.", "failed")
SINCE = Parameter(
    "since",
    In.QUERY,
    Instant,
    "Executions that began at this instant or later; RFC 3339.",
    "2026-11-25T12:00:00Z",
)
STATUS = Parameter("status", In.QUERY, Status, "Sessions of this status only.", "active")
LANGUAGE = Parameter("language", In.QUERY, Language, "Scripts in this language only.", "python")

OWNER = Parameter(
    "owner",
    In.QUERY,
    Annotated[str, Meta(min_length=1, max_length=OWNER_SIZE_MAX)],
    "For admins: sessions of this owner only; left out, an admin gets everybody's.",
    None,
)

ETAG = ResponseHeader("ETag", Annotated[str, Meta(pattern='^"[0-9]+"$')], "The version, for If-Match.", '"1"')
LINK = ResponseHeader(
    "Link",
    str,
    "The next page (RFC 8288), where there is one.",
    '</api/v1/sessions?limit=50&cursor=WyJzIl0>; rel="next"',
    always=False,
)
REPLAYED_HEADER = ResponseHeader(
    "Idempotent-Replayed",
    Annotated[str, Meta(pattern="^true$")],
    "The answer is the first one's with this Idempotency-Key, told again.",
    "true",
    always=False,
)
REQUEST_ID_HEADER = ResponseHeader("X-Request-ID", str, "The id to find the call by in the logs.", "7f3a-1")
RETRY_AFTER = ResponseHeader(
    "Retry-After",
    Annotated[int, Meta(ge=0)],
    "In how many seconds the call may be repeated; only where repeating is safe.",
    1,
    always=False,
)
WWW_AUTHENTICATE = ResponseHeader(
    "WWW-Authenticate", str, "What is missing (RFC 6750).", 'Bearer error="invalid_token"', always=False
)
RATE_LIMIT = ResponseHeader(
    "RateLimit",
    str,
    "What is left of the caller's quota, and in how many seconds it grows; where rates are limited.",
    '"execute";r=99;t=1',
    always=False,
)
RATE_LIMIT_POLICY = ResponseHeader(
    "RateLimit-Policy",
    str,
    "The caller's quota and its window in seconds; where rates are limited.",
    '"execute";q=100;w=60',
    always=False,
)
