"""Secrets of webhooks, and the signatures by which receivers know who sent a message (Standard Webhooks 1.0.0)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from attrs import field, frozen

KEY_SIZE_MIN = 32
"""Bytes of WEBHOOK_KEY: the size of the digest."""

_PREFIX = "whsec_"


@frozen
class SigningKey:
    """The key of the installation, from which the secrets of all webhooks follow, so none is stored."""

    _key: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """16 hexadecimal digits that name the key, and say nothing about it."""
        return self._digest("key id").hex()[:16]

    def secret(self, webhook_id: UUID, version: int) -> str:
        """Return the secret of a webhook, as its owner configures it in the receiver."""
        return _PREFIX + base64.b64encode(self._secret(webhook_id, version)).decode()

    def headers(
        self, webhook_id: UUID, versions: tuple[int, ...], delivery_id: UUID, at: datetime, payload: bytes
    ) -> Mapping[str, str]:
        """Return the headers of one attempt, with a signature by each of the secrets.

        `at` is the instant of the attempt: receivers refuse messages that are minutes old, which bounds replays.
        """
        sent_at = str(int(at.timestamp()))
        signed = b"%s.%s.%s" % (str(delivery_id).encode(), sent_at.encode(), payload)
        digests = [hmac.digest(self._secret(webhook_id, version), signed, hashlib.sha256) for version in versions]
        return {
            "webhook-id": str(delivery_id),
            "webhook-timestamp": sent_at,
            "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
        }

    def _secret(self, webhook_id: UUID, version: int) -> bytes:
        return self._digest(f"{webhook_id}|{version}")

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode(), hashlib.sha256)
