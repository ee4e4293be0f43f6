"""Keys that verify signatures; each key fixes its algorithm."""

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
"""The size of an HS256 digest in bytes (RFC 7518, section 3.2)."""

_PUBLIC_MARKERS = ("-- BEGIN ", "--BEGIN ", "ssh-", "ecdsa-sha2-")
_RSA_BITS_MIN = 2048
_RSA_BITS_MAX = 8192
_EXPONENT_MAX = 2**32
_ED25519_NAMES = frozenset({"EdDSA", "Ed25519"})
"""RFC 9864 renamed the algorithm of RFC 8037; for a key of this curve both names mean the same."""
_KINDS: Mapping[str, tuple[Any, Sequence[str]]] = {
    "RSA": (RSAKey, ("n", "e")),
    "EC": (ECKey, ("crv", "x", "y")),
    "OKP": (OKPKey, ("crv", "x")),
}
"""The class of a JWK by its kty, and its public members."""
_UNSUPPORTED = "it is not an RSA, P-256 or Ed25519 key. Use a key of one of these kinds."


class InvalidKey(ValueError):
    """The text or the JWK is not a key that verifies signatures; the error says why."""


@frozen(eq=False)
class VerificationKey:
    """A key, its only algorithm, and the names of that algorithm in tokens."""

    algorithm_names: frozenset[str]
    _algorithm: str
    _key: Key = field(repr=False)
    kid: str | None = None

    def fits(self, token: SignedToken) -> bool:
        """Return whether the algorithm of the token, and its `kid` if both have one, are those of this key."""
        return token.algorithm in self.algorithm_names and (None in (self.kid, token.kid) or self.kid == token.kid)

    def verifies(self, token: SignedToken) -> bool:
        """Return whether the holder of this key has signed the token."""
        return JWSRegistry.algorithms[self._algorithm].verify(token.signed, token.signature, self._key)


def secret_key(secret: str) -> VerificationKey:
    """Return an HS256 key; raises InvalidKey."""
    raw = secret.encode()
    if len(raw) < SECRET_SIZE_MIN:
        raise InvalidKey(f"it has fewer than {SECRET_SIZE_MIN} bytes. Make one with: openssl rand -base64 48")
    if any(marker in secret for marker in _PUBLIC_MARKERS):
        raise InvalidKey(
            "it is a public key, which everybody may know. Set it to a secret, or set JWT_PUBLIC_KEY instead."
        )
    return VerificationKey(frozenset({"HS256"}), "HS256", OctKey.import_key(raw))


def pem_key(text: str) -> VerificationKey:
    """Return the RS256, ES256 or EdDSA key of a public key in PEM; raises InvalidKey."""
    try:
        native = load_pem_public_key(text.encode())
    except (ValueError, TypeError) as error:
        raise InvalidKey(
            "it is not a public key in PEM. Set it to a text that begins with -----BEGIN PUBLIC KEY-----"
        ) from error
    if not isinstance(native, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        raise InvalidKey(_UNSUPPORTED)
    return _native_key(native, None)


def jwk_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """Return the key of a JWK for one of the algorithms; raises InvalidKey."""
    if "d" in jwk or jwk.get("kty") == "oct":
        raise InvalidKey("it contains a secret")
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        raise InvalidKey("it is not for signatures")
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        raise InvalidKey("its kid or alg is not a string")
    key = _native_key(_native(jwk), kid)
    if algorithm is not None and algorithm not in key.algorithm_names:
        raise InvalidKey(f"its alg is not {' or '.join(sorted(key.algorithm_names))}")
    return key


def _operations(jwk: Mapping[str, Any]) -> Sequence[Any]:
    operations = jwk.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def _native(jwk: Mapping[str, Any]) -> Any:
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidKey("its kty is not supported")
    importer, names = _KINDS[kind]
    public = {name: jwk.get(name) for name in names}
    if not all(isinstance(value, str) for value in public.values()):
        raise InvalidKey(f"it lacks one of {', '.join(names)}")
    if kind == "RSA":
        _require_size(len(str(public["n"])) * 6)
    try:
        return importer.import_key({"kty": kind, **public}).public_key
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise InvalidKey("it is malformed") from error


def _native_key(native: Any, kid: str | None) -> VerificationKey:
    if isinstance(native, RSAPublicKey):
        _require_size(native.key_size)
        if native.public_numbers().e >= _EXPONENT_MAX:
            raise InvalidKey("its public exponent is too large")
        return VerificationKey(frozenset({"RS256"}), "RS256", RSAKey.import_key(native), kid)
    if isinstance(native, EllipticCurvePublicKey) and isinstance(native.curve, SECP256R1):
        return VerificationKey(frozenset({"ES256"}), "ES256", ECKey.import_key(native), kid)
    if isinstance(native, Ed25519PublicKey):
        return VerificationKey(_ED25519_NAMES, "Ed25519", OKPKey.import_key(native), kid)
    raise InvalidKey(_UNSUPPORTED)


def _require_size(bits: int) -> None:
    if not _RSA_BITS_MIN <= bits <= _RSA_BITS_MAX + 7:
        raise InvalidKey(f"its size is not {_RSA_BITS_MIN} to {_RSA_BITS_MAX} bits. Make a key of such a size.")
