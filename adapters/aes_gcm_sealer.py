"""Seals secrets by AES-256-GCM."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from attrs import field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

from domain.secrets.ports import Sealer
from domain.secrets.secret import Sealed, SecretRef, key_id_of, key_is_absent, row_is_altered

_NONCE_SIZE = 12


@frozen
class AesGcmSealer(Sealer):
    """Seals by the first of its keys. Owner, name and version are additional data, so a copied row does not open."""

    _keys: Mapping[str, AESGCM] = field(repr=False)

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> Self:
        """Return the sealer with these keys of 32 bytes, of which the first one seals."""
        return cls({key_id_of(key): AESGCM(key) for key in keys})

    @property
    @override
    def key_ids(self) -> Sequence[str]:
        return tuple(self._keys)

    @override
    def seal(self, ref: SecretRef, version: int, value: str) -> Sealed:
        key_id, key = next(iter(self._keys.items()))
        nonce = os.urandom(_NONCE_SIZE)
        return Sealed(key_id, nonce, key.encrypt(nonce, value.encode(), _bound_to(ref, version)))

    @override
    def open(self, ref: SecretRef, version: int, sealed: Sealed) -> str:
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise key_is_absent(sealed.key_id, ref.name)
        try:
            return key.decrypt(sealed.nonce, sealed.content, _bound_to(ref, version)).decode()
        except (InvalidTag, ValueError):
            raise row_is_altered(ref.name) from None


def _bound_to(ref: SecretRef, version: int) -> bytes:
    # No part has a NUL character, so no two secrets have the same data.
    return f"{ref.owner}\0{ref.name}\0{version}".encode()
