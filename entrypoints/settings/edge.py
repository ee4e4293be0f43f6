"""Settings of the edge, whose texts have a form of their own: rates, origins, hosts and proxies."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from domain.limits.rate import RatePolicy
from entrypoints.settings.settings import Settings

ROUTE_CLASSES = ("sessions", "execute", "functions")
"""What a rate can be set for."""

ANY = "*"

_COUNT_MAX = 1_000_000
_WINDOW_S_MAX = 86_400
_RATE = re.compile(r"(?P<name>[a-z]+)=(?P<count>[0-9]{1,7})/(?P<window_s>[0-9]{1,5})")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]")
_LISTED_MAX = 64


def rate_policies(texts: Sequence[str]) -> tuple[RatePolicy, ...]:
    """Return the policies that texts such as `execute=100/60` name: a class, calls, seconds; raises ValueError."""
    policies = {policy.name: policy for policy in map(_rate_policy, texts)}
    if len(policies) < len(texts):
        raise ValueError("names a class twice; there is one rate for each")
    return tuple(policies.values())


def _rate_policy(text: str) -> RatePolicy:
    parts = _RATE.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not CLASS=CALLS/SECONDS, such as execute=100/60")
    name, count, window_s = parts["name"], int(parts["count"]), int(parts["window_s"])
    if name not in ROUTE_CLASSES:
        raise ValueError(f"{text!r} names no class of calls; expected one of {', '.join(ROUTE_CLASSES)}")
    if not (1 <= count <= _COUNT_MAX and 1 <= window_s <= _WINDOW_S_MAX):
        raise ValueError(f"{text!r} must allow 1 to {_COUNT_MAX} calls in 1 to {_WINDOW_S_MAX} seconds")
    return RatePolicy(name, count, window_s)


def allowed_hosts(settings: Settings, *, is_near: bool) -> tuple[str, ...]:
    """Return the names that are answered to, in lower case; none means any.

    A server that only this machine reaches (`is_near`) has the names of this machine, unless others are given: any page
    that is open in a browser here could otherwise reach it by a name of its own.
    """
    if settings.allowed_hosts:
        return () if ANY in settings.allowed_hosts else tuple(name.lower() for name in settings.allowed_hosts)
    if not is_near:
        return ()
    host = settings.host.lower()
    return "localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host


def rates_can_be_read(settings: Settings) -> Iterator[str]:
    """Rates have their form."""
    try:
        rate_policies(settings.rate_limits)
    except ValueError as error:
        yield f"RATE_LIMITS: {error}"


def edge_lists_fit(settings: Settings) -> Iterator[str]:
    """Origins, hosts and proxies are what they are called."""
    lists: tuple[tuple[str, Sequence[str], Callable[[str], bool], str], ...] = (
        (
            "CORS_ORIGINS",
            settings.cors_origins,
            _is_origin,
            "an origin such as https://app.example.com, without a path",
        ),
        ("ALLOWED_HOSTS", settings.allowed_hosts, _is_host, "a host such as api.example.com, without a port"),
        ("TRUSTED_PROXIES", settings.trusted_proxies, _is_network, "an address or a network such as 10.0.0.0/8"),
    )
    for name, given, fits, expected in lists:
        if len(given) > _LISTED_MAX:
            yield f"{name}: has more than {_LISTED_MAX} entries"
        yield from (f"{name}: {text!r} is not {expected}" for text in given if not fits(text))


def _is_origin(text: str) -> bool:
    if text == ANY:
        return True
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError when it is not a port
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and text == f"{parts.scheme}://{parts.netloc}" == text.lower()


def _is_host(text: str) -> bool:
    return text == ANY or _HOST.fullmatch(text.lower()) is not None


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
