"""Valid and invalid tokens of every kind, made without the service's code."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.memory.manual_clock import ManualClock

SECRET = "a secret of at least thirty-two bytes"
NOW = ManualClock().now()

RSA = rsa.generate_private_key(65537, 2048)
RSA_OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()

Sign = Callable[[bytes], bytes]


def pem(key: Any) -> str:
    """Return the public half in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def hs256(secret: str | bytes = SECRET) -> Sign:
    def sign(text: bytes) -> bytes:
        mac = hmac.HMAC(secret.encode() if isinstance(secret, str) else secret, hashes.SHA256())
        mac.update(text)
        return mac.finalize()

    return sign


def rs256(key: rsa.RSAPrivateKey = RSA) -> Sign:
    return lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def es256(key: ec.EllipticCurvePrivateKey = EC) -> Sign:
    def sign(text: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def eddsa(key: ed25519.Ed25519PrivateKey = ED) -> Sign:
    return key.sign


def claims(now: datetime = NOW, **changed: Any) -> dict[str, Any]:
    """Return valid claims with changes; a claim that is None is left out."""
    issued_s = int(now.timestamp())
    valid = {"sub": "alice", "scope": "execute:all", "iat": issued_s, "exp": issued_s + 600} | changed
    return {name: value for name, value in valid.items() if value is not None}


def part(content: Any) -> str:
    """Return a part of a token: a text unchanged, other values as JSON."""
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    return b64(text.encode() if isinstance(text, str) else text)


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(content: Any = None, header: Mapping[str, Any] | str | None = None, sign: Sign | None = None) -> str:
    """Return an HS256 token, or one with another header and signature."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signed = f"{part(head)}.{part(claims() if content is None else content)}"
    return f"{signed}.{b64((sign or hs256())(signed.encode()))}"
