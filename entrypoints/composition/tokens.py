"""Signed tokens: the keys that verify them, the claims that they must have, and tokens that are signed here."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from adapters.jwt.keys import InvalidKey, VerificationKey, pem_key, secret_key
from domain.access.principal import Scope
from domain.clock import Clock
from domain.identity import Owner
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings


def claim_rules(settings: Settings) -> ClaimRules:
    """Return the claims that tokens must have."""
    return ClaimRules(settings.jwt_issuer, settings.jwt_audience)


def signed_token(settings: Settings, clock: Clock, owner: Owner, scopes: frozenset[Scope], lifetime: timedelta) -> str:
    """Return a token that JWT_SECRET signs; raises RuntimeError if the secret is too weak to sign with."""
    assert settings.jwt_secret is not None
    span = clock.now(), lifetime
    try:
        return issue_token(settings.jwt_secret.reveal(), owner, scopes, claim_rules(settings), span)
    except InvalidKey as error:
        raise RuntimeError(f"JWT_SECRET: {error}") from error


def verification_keys(settings: Settings) -> Sequence[VerificationKey]:
    """Return the keys of JWT_SECRET and JWT_PUBLIC_KEY; raises SettingsError for a text that is not such a key."""
    given = (("JWT_SECRET", settings.jwt_secret, secret_key), ("JWT_PUBLIC_KEY", settings.jwt_public_key, pem_key))
    return [_key(name, secret, read) for name, secret, read in given if secret is not None]


def _key(name: str, secret: Secret, read: Callable[[str], VerificationKey]) -> VerificationKey:
    try:
        return read(secret.reveal())
    except InvalidKey as error:
        raise SettingsError([f"{name}: {error}"]) from error
