"""What tokens are verified with, and made with."""

from collections.abc import Callable

from adapters.jwt.claims import ClaimRules
from adapters.jwt.jwks import Jwks
from adapters.jwt.keys import VerificationKey, WrongKey, pem_key, secret_key
from adapters.jwt.verifier import JwtVerifier
from domain.access.ports import TokenVerifier
from domain.clock import Clock
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings


def claim_rules(settings: Settings) -> ClaimRules:
    """Return what tokens have to claim."""
    return ClaimRules(settings.jwt_issuer, settings.jwt_audience)


def published_keys(settings: Settings) -> Jwks | None:
    """Return the keys at JWT_JWKS_URL; None where it is not set, or nobody has to be known."""
    url = settings.jwt_jwks_url if settings.authenticated else None
    return None if url is None else Jwks(url)


def token_verifier(settings: Settings, clock: Clock, jwks: Jwks | None) -> TokenVerifier | None:
    """Return what verifies tokens; None where there are no keys to. Raises SettingsError for a key that is none."""
    if not settings.verifies_tokens:
        return None
    given = (("JWT_SECRET", settings.jwt_secret, secret_key), ("JWT_PUBLIC_KEY", settings.jwt_public_key, pem_key))
    keys = [_key(name, secret, read) for name, secret, read in given if secret is not None]
    return JwtVerifier(clock, claim_rules(settings), keys, jwks)


def _key(name: str, secret: Secret, read: Callable[[str], VerificationKey]) -> VerificationKey:
    try:
        return read(secret.reveal())
    except WrongKey as error:
        raise SettingsError([f"{name}: {error}"]) from error
