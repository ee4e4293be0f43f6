"""Keys that are accepted, and their algorithms."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.jwt.keys import InvalidKey, jwk_key, pem_key, secret_key
from tests.unit.jwt.forge import EC, ED, RSA, b64, pem


def numbers(size: int, *values: int) -> list[str]:
    return [b64(value.to_bytes(size, "big")) for value in values]


_RSA_NUMBERS = RSA.public_key().public_numbers()
_EC_NUMBERS = EC.public_key().public_numbers()
RSA_JWK = {"kty": "RSA", "n": numbers(256, _RSA_NUMBERS.n)[0], "e": "AQAB", "kid": "r"}
EC_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "e",
    **dict(zip("xy", numbers(32, _EC_NUMBERS.x, _EC_NUMBERS.y), strict=True)),
}
ED_JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64(ED.public_key().public_bytes_raw()), "kid": "o"}


@pytest.mark.parametrize("secret", ["x" * 32, "ä" * 16])
def test_a_secret_is_an_hs256_key(secret):
    assert secret_key(secret).algorithm_names == {"HS256"}


@pytest.mark.parametrize(
    "secret",
    ["", "x" * 31, pem(RSA), pem(ED), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe a@b"],
    ids=["nothing", "short", "RSA", "Ed25519", "ssh"],
)
def test_short_secrets_and_public_keys_are_not_secrets(secret):
    with pytest.raises(InvalidKey):
        secret_key(secret)


@pytest.mark.parametrize(("key", "names"), [(RSA, {"RS256"}), (EC, {"ES256"}), (ED, {"EdDSA", "Ed25519"})])
def test_a_public_key_in_pem_fixes_its_algorithm(key, names):
    assert pem_key(pem(key)).algorithm_names == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    ],
    ids=["nothing", "text", "broken", "private"],
)
def test_what_is_no_public_key_in_pem_is_rejected(text):
    with pytest.raises(InvalidKey):
        pem_key(text)


@pytest.mark.parametrize(
    "generate",
    [
        lambda: rsa.generate_private_key(65537, 1024),  # the weak key
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        ed448.Ed448PrivateKey.generate,
        x25519.X25519PrivateKey.generate,
        lambda: dsa.generate_private_key(1024),
    ],
    ids=["RSA of 1024 bits", "P-384", "secp256k1", "Ed448", "X25519", "DSA"],
)
def test_other_keys_in_pem_are_rejected(generate):
    with pytest.raises(InvalidKey):
        pem_key(pem(generate()))


@pytest.mark.parametrize(
    ("jwk", "names"),
    [
        (RSA_JWK, {"RS256"}),
        (RSA_JWK | {"use": "sig", "alg": "RS256", "key_ops": ["verify"], "x5c": ["ignored"]}, {"RS256"}),
        (EC_JWK, {"ES256"}),
        (ED_JWK | {"alg": "EdDSA"}, {"EdDSA", "Ed25519"}),
        (ED_JWK | {"alg": "Ed25519"}, {"EdDSA", "Ed25519"}),
    ],
)
def test_a_published_key_fixes_its_algorithm_and_has_its_kid(jwk, names):
    key = jwk_key(jwk)
    assert (key.algorithm_names, key.kid) == (names, jwk["kid"])


@pytest.mark.parametrize(
    "changed",
    [
        {"kty": "oct", "k": b64(b"x" * 32)},
        {"kty": None},
        {"kty": ["RSA"]},
        {"kty": "AKP"},
        {"d": "AQAB"},
        {"use": "enc"},
        {"use": 5},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"alg": "RS512"},
        {"alg": "PS256"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": ["RS256"]},
        {"kid": 5},
        {"n": None},
        {"n": 5},
        {"n": "%%%"},
        {"n": ""},
        {"n": "AQAB"},
        {"n": b64(b"\xff" * 128)},
        {"n": b64(b"\xff" * 4096)},
        {"e": "AQ"},
        {"e": b64(b"\xff" * 64)},
        {"e": ""},
    ],
)
def test_an_unsuitable_published_key_is_rejected(changed):
    with pytest.raises(InvalidKey):
        jwk_key(RSA_JWK | changed)


@pytest.mark.parametrize(
    "jwk",
    [
        EC_JWK | {"crv": "P-384"},
        EC_JWK | {"crv": "secp256k1"},
        EC_JWK | {"y": EC_JWK["x"]},
        EC_JWK | {"x": b64(b"\0" * 32), "y": b64(b"\0" * 32)},
        EC_JWK | {"x": ""},
        ED_JWK | {"crv": "X25519"},
        ED_JWK | {"crv": "Ed448"},
        ED_JWK | {"crv": 5},
        ED_JWK | {"x": b64(b"short")},
        {"kty": "RSA"},
        {},
    ],
)
def test_an_invalid_published_point_is_rejected(jwk):
    with pytest.raises(InvalidKey):
        jwk_key(jwk)
