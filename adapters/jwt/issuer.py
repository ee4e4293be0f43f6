"""Tokens that this service issues for local use."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

from adapters.jwt.claims import ClaimRules
from adapters.jwt.compact import encode_base64
from adapters.jwt.keys import secret_key
from domain.access.principal import Scope
from domain.identity import Owner


def issue_token(
    secret: str, owner: Owner, scopes: Iterable[Scope], rules: ClaimRules, span: tuple[datetime, timedelta]
) -> str:
    """Return an HS256 token that is valid for `span`: a start and a duration. Raises InvalidKey."""
    secret_key(secret)
    now, lifetime = span
    issued_s = int(now.timestamp())
    claims: dict[str, object] = {
        "sub": owner,
        "scope": " ".join(sorted(scopes)),
        "iat": issued_s,
        "exp": issued_s + int(lifetime.total_seconds()),
    }
    claims |= {"iss": rules.issuer} if rules.issuer is not None else {}
    claims |= {"aud": rules.audience} if rules.audience is not None else {}
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    key = OctKey.import_key(secret.encode())
    return f"{signed}.{encode_base64(JWSRegistry.algorithms['HS256'].sign(signed.encode(), key))}"


def _part(members: dict[str, object]) -> str:
    return encode_base64(json.dumps(members, separators=(",", ":")).encode())
