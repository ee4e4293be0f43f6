"""The settings of secrets of owners."""

import base64
import binascii
from collections.abc import Iterator, Sequence

from domain.secrets.secret import key_id_of
from domain.secrets.service import SecretPolicy
from entrypoints.settings.settings import Settings

_KEY_SIZE = 32


def secret_keys(settings: Settings) -> Sequence[bytes]:
    """Return the keys that seal secrets, the one that seals new ones first; none if there are no secrets."""
    return [] if settings.secrets_key is None else [_key(text) or b"" for text in _texts(settings.secrets_key.reveal())]


def key_ids(settings: Settings) -> Sequence[str]:
    """Return the names of the keys, that of the one that seals first."""
    return tuple(map(key_id_of, secret_keys(settings)))


def secret_policy(settings: Settings) -> SecretPolicy:
    """Return the limits of secrets."""
    return SecretPolicy(settings.request_timeout_ms / 1000, settings.max_secrets_per_owner)


def secret_settings_are_valid(settings: Settings) -> Iterator[str]:
    """Check the keys."""
    if settings.secrets_key is None:
        return
    texts = _texts(settings.secrets_key.reveal())
    remedy = "Make one with: openssl rand -base64 32"
    if not texts:
        yield f"SECRETS_KEY: it has no key. {remedy}"
    for at, text in enumerate(texts, start=1):
        if _key(text) is None:
            yield f"SECRETS_KEY: key {at} is not the base64 of {_KEY_SIZE} bytes. {remedy}"
    if len(set(texts)) < len(texts):
        yield "SECRETS_KEY: it has a key twice. Name each key once."


def _texts(keys: str) -> Sequence[str]:
    return [text.strip() for text in keys.replace(",", "\n").splitlines() if text.strip()]


def _key(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return key if len(key) == _KEY_SIZE else None
