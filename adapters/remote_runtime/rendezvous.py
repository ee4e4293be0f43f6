"""Rendezvous hashing: every controller ranks the hosts of a session alike, with no table between them."""

import hashlib
from collections.abc import Sequence


def ranked(key: bytes, names: Sequence[str]) -> list[str]:
    """Return the names by their weight for this key (highest random weight); one name less moves only its own keys."""

    def weight(name: str) -> bytes:
        return hashlib.blake2b(name.encode(), digest_size=8, key=hashlib.sha256(key).digest()).digest()

    return sorted(names, key=weight, reverse=True)
