"""The claims of a token with a valid signature, and the principal that they name."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import field, frozen, validators

from domain.access.credentials import CredentialRefused
from domain.access.principal import Principal, Scope
from domain.identity import Owner, OwnerRefused, parse_owner

LEEWAY_S_MAX = 60

_SCOPES = {str(scope): scope for scope in Scope}
_CACHED_S_MAX = 3600.0


@frozen
class ClaimRules:
    """The required claims of a token: issuer and audience if they are set, and times with a tolerance of `leeway_s`."""

    issuer: str | None = None
    audience: str | None = None
    leeway_s: int = field(default=30, validator=[validators.ge(0), validators.le(LEEWAY_S_MAX)])


@frozen
class TokenVerdict:
    """The caller, and how long the verdict may be cached: the token is valid at least while `now < until`."""

    principal: Principal
    until: datetime


def check_claims(claims: Mapping[str, Any], rules: ClaimRules, now: datetime) -> TokenVerdict:
    """Return the caller that the claims name at `now`; raises CredentialRefused."""
    _require_issuer_and_audience(claims, rules)
    left_s = _left_s(claims, rules, now.timestamp())
    until = now + timedelta(seconds=min(left_s, _CACHED_S_MAX))
    return TokenVerdict(Principal(_owner(claims), frozenset(_scopes(claims))), until)


def _require_issuer_and_audience(claims: Mapping[str, Any], rules: ClaimRules) -> None:
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise CredentialRefused("it is from another issuer")
    if "aud" in claims or rules.audience is not None:
        _require_audience(claims.get("aud"), rules.audience)
    if "cnf" in claims:
        raise CredentialRefused("it is bound to a key of its holder, so it is not a bearer token")


def _require_audience(named: Any, wanted: str | None) -> None:
    """Without a required audience, a token that names one is for another service (RFC 7519, section 4.1.3)."""
    if wanted is None or wanted not in (named if isinstance(named, list) else [named]):
        raise CredentialRefused("it is for another audience")


def _left_s(claims: Mapping[str, Any], rules: ClaimRules, now_s: float) -> float:
    """Return the seconds until the token expires, with the tolerance."""
    if "exp" not in claims:
        raise CredentialRefused("it has no exp")
    left_s = _instant(claims, "exp") + rules.leeway_s - now_s
    if left_s <= 0:
        raise CredentialRefused("it has expired")
    for name in ("nbf", "iat"):
        if name in claims and _instant(claims, name) - rules.leeway_s > now_s:
            raise CredentialRefused("it is not valid yet")
    return left_s


def _instant(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise CredentialRefused(f"its {name} is not a point in time")
    return float(min(value, 2**53))


def _owner(claims: Mapping[str, Any]) -> Owner:
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise CredentialRefused("its sub is not a string")
    try:
        return parse_owner(subject)
    except OwnerRefused as error:
        raise CredentialRefused(f"its sub cannot be an owner: {error}") from None


def _scopes(claims: Mapping[str, Any]) -> Iterator[Scope]:
    """Yield the known scopes in `scope` (RFC 8693) and `scopes`; unknown ones are for other services."""
    named, listed = claims.get("scope", ""), claims.get("scopes", [])
    if not isinstance(named, str) or not isinstance(listed, list):
        raise CredentialRefused("its scope must be a string, and its scopes a list")
    for name in (*named.split(" "), *listed):
        if isinstance(name, str) and name in _SCOPES:
            yield _SCOPES[name]
