"""Settings with a form of their own: rates, origins, host names and proxies."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from domain.limits.rate import RatePolicy
from domain.limits.unknown_callers import UNKNOWN
from entrypoints.settings.settings import Settings

ROUTE_CLASSES = ("sessions", "execute", "functions")
"""The classes of calls that have a rate for each owner."""

ANY = "*"

_COUNT_MAX = 1_000_000
_WINDOW_S_MAX = 86_400
_RATE = re.compile(r"(?P<name>[a-z]+)=(?P<count>[0-9]{1,7})/(?P<window_s>[0-9]{1,5})")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]")
_LISTED_MAX = 64


def rate_policies(texts: Sequence[str]) -> tuple[RatePolicy, ...]:
    """Return the rates of owners in texts such as `execute=100/60` (class, calls, seconds); raises ValueError."""
    return tuple(policy for policy in _policies(texts) if policy.name != UNKNOWN)


def unknown_policy(texts: Sequence[str]) -> RatePolicy | None:
    """Return the rate of unknown callers; raises ValueError."""
    return next((policy for policy in _policies(texts) if policy.name == UNKNOWN), None)


def _policies(texts: Sequence[str]) -> Sequence[RatePolicy]:
    policies = {policy.name: policy for policy in map(_rate_policy, texts)}
    if len(policies) < len(texts):
        raise ValueError("it names a class twice, and each class has one rate. Name it once")
    return tuple(policies.values())


def _rate_policy(text: str) -> RatePolicy:
    parts = _RATE.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a rate. Set it to CLASS=CALLS/SECONDS, such as execute=100/60")
    name, count, window_s = parts["name"], int(parts["count"]), int(parts["window_s"])
    if name not in {*ROUTE_CLASSES, UNKNOWN}:
        raise ValueError(f"{text!r} does not name a class of calls. Use one of {', '.join(ROUTE_CLASSES)}, {UNKNOWN}")
    if not (1 <= count <= _COUNT_MAX and 1 <= window_s <= _WINDOW_S_MAX):
        raise ValueError(f"{text!r} is out of range. Allow 1 to {_COUNT_MAX} calls in 1 to {_WINDOW_S_MAX} seconds")
    return RatePolicy(name, count, window_s)


def allowed_hosts(settings: Settings, *, on_loopback: bool) -> tuple[str, ...]:
    """Return the accepted names in the Host header, in lower case; an empty tuple means any.

    A server on loopback has the names of this machine unless others are set. Otherwise a page in a browser on this
    machine could reach it by a name of its own (DNS rebinding).
    """
    if settings.allowed_hosts:
        return () if ANY in settings.allowed_hosts else tuple(name.lower() for name in settings.allowed_hosts)
    if not on_loopback:
        return ()
    host = settings.host.lower()
    return "localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host


def rates_are_valid(settings: Settings) -> Iterator[str]:
    """Check the form of rates."""
    try:
        rate_policies(settings.rate_limits)
    except ValueError as error:
        yield f"RATE_LIMITS: {error}."


def edge_lists_are_valid(settings: Settings) -> Iterator[str]:
    """Check that origins, host names and proxies have their form."""
    lists: tuple[tuple[str, Sequence[str], Callable[[str], bool], str], ...] = (
        (
            "CORS_ORIGINS",
            settings.cors_origins,
            _is_origin,
            "origins such as https://app.example.com, without a path",
        ),
        ("ALLOWED_HOSTS", settings.allowed_hosts, _is_host, "names such as api.example.com, without a port"),
        ("TRUSTED_PROXIES", settings.trusted_proxies, _is_network, "addresses or networks such as 10.0.0.0/8"),
    )
    for name, given, fits, expected in lists:
        if len(given) > _LISTED_MAX:
            yield f"{name}: {len(given)} entries are more than the {_LISTED_MAX} that are allowed. Name fewer."
        yield from (f"{name}: {text!r} is not valid. Set it to {expected}." for text in given if not fits(text))


def _is_origin(text: str) -> bool:
    if text == ANY:
        return True
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError if it is not a port
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
