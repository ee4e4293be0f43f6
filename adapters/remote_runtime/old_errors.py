"""Errors as runtime hosts of the old form write them."""

from collections.abc import Mapping

import msgspec

_PLACES = ("error", "detail", "message")
_REFUSED_BEFORE_THE_RUN = frozenset({401, 403, 404, 405, 429})
_INTERNAL_SERVER_ERROR = 500


def refuses_before_the_run(status: int) -> bool:
    """Return whether a host with this status has not looked at the script: no access, no such path, too many calls."""
    return status in _REFUSED_BEFORE_THE_RUN


def tells_failure(status: int) -> bool:
    """Return whether an error with this status is the script's, and not that of something on the way."""
    return 400 <= status <= _INTERNAL_SERVER_ERROR and not refuses_before_the_run(status)


def error_message(body: bytes | msgspec.Raw) -> str | None:
    """Return the message of an error: a text, or one inside `error`, `detail` or `message`; None without one."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _text_in(value, depth_max=2)


def _text_in(value: object, depth_max: int) -> str | None:
    if isinstance(value, str):
        return value or None
    if not isinstance(value, Mapping) or depth_max == 0:
        return None
    found = (_text_in(value.get(name), depth_max - 1) for name in _PLACES)
    return next((text for text in found if text is not None), None)
