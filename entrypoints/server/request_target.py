"""The target of a request: its path and query, and the host that it may name (RFC 9112, section 3.2)."""

import re

from entrypoints.http.request import Header

_ABSOLUTE = re.compile(rb"https?://([^/?@]+)((?:[/?].*)?)", re.IGNORECASE)


def origin_form(target: bytes, headers: list[Header]) -> bytes:
    """Return the path and query of a target. Raises ValueError if it has a fragment, or no form that a server serves.

    The host of a target in absolute form replaces the `Host` headers, which a server must ignore then.
    """
    if b"#" in target:
        raise ValueError("a target has no fragment")
    if target[:1] == b"/" or target == b"*":
        return target
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise ValueError("the target is neither a path nor an http URL")
    host, rest = found.groups()
    headers[:] = [header for header in headers if header[0] != b"host"] + [(b"host", host)]
    return rest if rest[:1] == b"/" else b"/" + rest
