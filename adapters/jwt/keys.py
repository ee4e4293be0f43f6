"""Keys that signatures are verified with; each fixes its own algorithm."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from adapters.jwt.compact import SignedToken

SECRET_SIZE_MIN = 32
"""Bytes of an HS256 secret: as many as its digest has (RFC 7518, section 3.2)."""

_PUBLIC_MARKERS = ("-- BEGIN ", "--BEGIN ", "ssh-", "ecdsa-sha2-")
_RSA_BITS_MIN = 2048
_RSA_BITS_MAX = 8192
_EXPONENT_MAX = 2**32
_ED25519_NAMES = frozenset({"EdDSA", "Ed25519"})
"""RFC 9864 renamed what RFC 8037 calls EdDSA; for a key of this curve both are one algorithm."""
_KINDS: Mapping[str, tuple[Any, Sequence[str]]] = {
    "RSA": (RSAKey, ("n", "e")),
    "EC": (ECKey, ("crv", "x", "y")),
    "OKP": (OKPKey, ("crv", "x")),
}
"""The public members of a JWK by its kty, and what reads them."""


class WrongKey(ValueError):
    """The text or the JWK is no key to verify signatures with; the error's text says why."""


@frozen(eq=False)
class VerificationKey:
    """A key, the one algorithm it is used with, and the names that tokens call this algorithm by."""

    names: frozenset[str]
    _algorithm: str
    _key: Key = field(repr=False)
    kid: str | None = None

    def fits(self, token: SignedToken) -> bool:
        """Whether the token may be signed by this key, by its algorithm and, where both have one, its `kid`."""
        return token.algorithm in self.names and (None in (self.kid, token.kid) or self.kid == token.kid)

    def verifies(self, token: SignedToken) -> bool:
        """Whether this key's holder has signed the token."""
        return JWSRegistry.algorithms[self._algorithm].verify(token.signed, token.signature, self._key)


def secret_key(secret: str) -> VerificationKey:
    """Return the key of HS256; raises WrongKey."""
    raw = secret.encode()
    if len(raw) < SECRET_SIZE_MIN:
        raise WrongKey(f"must have at least {SECRET_SIZE_MIN} bytes")
    if any(marker in secret for marker in _PUBLIC_MARKERS):
        raise WrongKey("must be a secret, not a public key: what everybody has signs nothing")
    return VerificationKey(frozenset({"HS256"}), "HS256", OctKey.import_key(raw))


def pem_key(text: str) -> VerificationKey:
    """Return the key of RS256, ES256 or EdDSA in a public key in PEM; raises WrongKey."""
    try:
        native = load_pem_public_key(text.encode())
    except (ValueError, TypeError) as error:
        raise WrongKey("must be a public key in PEM, which begins with -----BEGIN PUBLIC KEY-----") from error
    if not isinstance(native, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        raise WrongKey("must be a key of RSA, P-256 or Ed25519")
    return _native_key(native, None)


def jwk_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """Return the key in a JWK that is meant for one of the algorithms; raises WrongKey."""
    if "d" in jwk or jwk.get("kty") == "oct":
        raise WrongKey("holds a secret")
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        raise WrongKey("is not for signatures")
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        raise WrongKey("has a kid or an alg that is no text")
    key = _native_key(_native(jwk), kid)
    if algorithm is not None and algorithm not in key.names:
        raise WrongKey(f"is for an algorithm other than {' or '.join(sorted(key.names))}")
    return key


def _operations(jwk: Mapping[str, Any]) -> Sequence[Any]:
    operations = jwk.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def _native(jwk: Mapping[str, Any]) -> Any:
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise WrongKey("is of a kind that is not taken here")
    importer, names = _KINDS[kind]
    public = {name: jwk.get(name) for name in names}
    if not all(isinstance(value, str) for value in public.values()):
        raise WrongKey(f"lacks one of {', '.join(names)}")
    if kind == "RSA":
        _require_size(len(str(public["n"])) * 6)
    try:
        return importer.import_key({"kty": kind, **public}).public_key
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise WrongKey("cannot be read") from error


def _native_key(native: Any, kid: str | None) -> VerificationKey:
    if isinstance(native, RSAPublicKey):
        _require_size(native.key_size)
        if native.public_numbers().e >= _EXPONENT_MAX:
            raise WrongKey("has a public exponent that is too large")
        return VerificationKey(frozenset({"RS256"}), "RS256", RSAKey.import_key(native), kid)
    if isinstance(native, EllipticCurvePublicKey) and isinstance(native.curve, SECP256R1):
        return VerificationKey(frozenset({"ES256"}), "ES256", ECKey.import_key(native), kid)
    if isinstance(native, Ed25519PublicKey):
        return VerificationKey(_ED25519_NAMES, "Ed25519", OKPKey.import_key(native), kid)
    raise WrongKey("must be a key of RSA, P-256 or Ed25519")


def _require_size(bits: int) -> None:
    if not _RSA_BITS_MIN <= bits <= _RSA_BITS_MAX + 7:
        raise WrongKey(f"must have {_RSA_BITS_MIN} to {_RSA_BITS_MAX} bits")
