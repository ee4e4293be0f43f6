"""The claims of a token whose signature holds, and what follows from them."""

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
_REMEMBERED_S_MAX = 3600.0


@frozen
class ClaimRules:
    """What a token has to claim: its issuer and audience where they are set, and times within `leeway_s` seconds."""

    issuer: str | None = None
    audience: str | None = None
    leeway_s: int = field(default=30, validator=[validators.ge(0), validators.le(LEEWAY_S_MAX)])


@frozen
class TokenVerdict:
    """Who calls, and until when that needs not be asked again: the token holds at least while `now < until`."""

    principal: Principal
    until: datetime


def judge(claims: Mapping[str, Any], rules: ClaimRules, now: datetime) -> TokenVerdict:
    """Return whom the claims name, judged at `now`; raises CredentialRefused."""
    _require_meant_for_us(claims, rules)
    left_s = _left_s(claims, rules, now.timestamp())
    until = now + timedelta(seconds=min(left_s, _REMEMBERED_S_MAX))
    return TokenVerdict(Principal(_owner(claims), frozenset(_scopes(claims))), until)


def _require_meant_for_us(claims: Mapping[str, Any], rules: ClaimRules) -> None:
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise CredentialRefused("it is from another issuer")
    if "aud" in claims or rules.audience is not None:
        _require_audience(claims.get("aud"), rules.audience)
    if "cnf" in claims:
        raise CredentialRefused("it is bound to a key of its holder, and no bearer token")


def _require_audience(named: Any, wanted: str | None) -> None:
    """Where no audience is set, a token that names one is for somebody else (RFC 7519, section 4.1.3)."""
    if wanted is None or wanted not in (named if isinstance(named, list) else [named]):
        raise CredentialRefused("it is for another audience")


def _left_s(claims: Mapping[str, Any], rules: ClaimRules, now_s: float) -> float:
    """Return the seconds until the token ends, the leeway included."""
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
        raise CredentialRefused(f"its {name} is no instant")
    return float(min(value, 2**53))


def _owner(claims: Mapping[str, Any]) -> Owner:
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise CredentialRefused("its sub is no text")
    try:
        return parse_owner(subject)
    except OwnerRefused as error:
        raise CredentialRefused(f"its sub cannot be an owner: {error}") from None


def _scopes(claims: Mapping[str, Any]) -> Iterator[Scope]:
    """Yield the scopes that are known here, out of `scope` (RFC 8693) and `scopes`; others are for other services."""
    named, listed = claims.get("scope", ""), claims.get("scopes", [])
    if not isinstance(named, str) or not isinstance(listed, list):
        raise CredentialRefused("its scope must be a text, or its scopes a list")
    for name in (*named.split(" "), *listed):
        if isinstance(name, str) and name in _SCOPES:
            yield _SCOPES[name]
