"""What callers are told of limits of rate (draft-ietf-httpapi-ratelimit-headers, lists of structured fields)."""

from domain.limits.rate import RatePolicy, RateVerdict
from entrypoints.http.request import Header
from entrypoints.http.response import Headers

_NS_PER_S = 1_000_000_000


def rate_headers(policy: RatePolicy, verdict: RateVerdict) -> Headers:
    """Return `RateLimit-Policy` and `RateLimit`."""
    return policy_header(policy), limit_header(policy.name.encode(), verdict)


def policy_header(policy: RatePolicy) -> Header:
    """Return `RateLimit-Policy`: `q` calls in `w` seconds."""
    return b"ratelimit-policy", b'"%s";q=%d;w=%d' % (policy.name.encode(), policy.count, policy.window_s)


def limit_header(name: bytes, verdict: RateVerdict) -> Header:
    """Return `RateLimit`: `r` calls are left, and in `t` seconds, rounded up, it is one more.

    Of a call that was refused, `t` is until it would be allowed.
    """
    return b"ratelimit", b'"%s";r=%d;t=%d' % (name, verdict.remaining, -(-verdict.wait_ns // _NS_PER_S))
