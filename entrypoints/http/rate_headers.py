"""What callers are told of limits of rate."""

from domain.rate import RatePolicy, RateVerdict
from entrypoints.http.answer import Headers

_NS_PER_S = 1_000_000_000


def rate_headers(policy: RatePolicy, verdict: RateVerdict) -> Headers:
    """Return `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers, lists of structured fields).

    `r` calls are left, and after `t` seconds, rounded up, it is one more; a refused call is allowed after `t`.
    """
    wait_s = -(-verdict.wait_ns // _NS_PER_S)
    name = policy.name.encode()
    return (
        (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (name, policy.count, policy.window_s)),
        (b"ratelimit", b'"%s";r=%d;t=%d' % (name, verdict.remaining, wait_s)),
    )
