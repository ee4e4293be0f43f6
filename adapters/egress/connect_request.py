"""The request of a client to a proxy: CONNECT with the name and the port of a host."""

import re

from domain.egress.rule import EgressRule, InvalidRule

SIZE_MAX = 8 * 1024
"""Bytes of the request with its headers, which are not looked at."""
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_END = b"\r\n\r\n"
_CONNECT = re.compile(rb"CONNECT ([A-Za-z0-9._-]{1,253}:[0-9]{1,5}) HTTP/1\.[01]\r\n")


class InvalidConnect(Exception):
    """The bytes are no request for a connection to a host."""


def read_connect(content: bytes) -> EgressRule | None:
    """Return the host that a request names, as a rule for TLS; None if the request is not whole. Raises InvalidConnect.

    A client sends nothing more before it has a reply.
    """
    end = content.find(_END)
    if end < 0 and len(content) <= SIZE_MAX:
        return None
    found = _CONNECT.match(content)
    if found is None or end < 0 or end + len(_END) != len(content) or len(content) > SIZE_MAX:
        raise InvalidConnect
    try:
        return EgressRule.parse_host(found[1].decode("ascii").lower())
    except InvalidRule:
        raise InvalidConnect from None
