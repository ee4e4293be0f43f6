"""Verification of tokens."""

import hashlib
from collections.abc import AsyncIterator, Sequence

from attrs import define, field
from typing_extensions import override

from adapters.jwt.claims import ClaimRules, check_claims
from adapters.jwt.compact import SignedToken, read_token
from adapters.jwt.jwks import Jwks
from adapters.jwt.keys import VerificationKey
from domain.access.credentials import CredentialRefused
from domain.access.ports import TokenVerifier
from domain.access.principal import Principal
from domain.clock import Clock
from domain.concurrency.ttl_cache import TtlCache

_TRIES_MAX = 4
"""How many signatures the service checks for one token."""
_CACHED_MAX = 10_000


@define
class JwtVerifier(TokenVerifier):
    """Verifies JSON Web Tokens by fixed keys and by published keys.

    A verified token is cached by its SHA-256, until it expires or the published keys change.
    """

    _clock: Clock
    _rules: ClaimRules
    _keys: Sequence[VerificationKey] = ()
    _jwks: Jwks | None = None
    _cache: TtlCache[bytes, Principal] = field(factory=lambda: TtlCache(_CACHED_MAX), init=False)
    _generation: int = field(default=0, init=False)

    @override
    async def verify(self, token: str) -> Principal:
        now = self._clock.now()
        digest = hashlib.sha256(token.encode()).digest()
        self._clear_after_change()
        known = self._cache.get(digest, now)
        if known is not None:
            return known
        read = read_token(token)
        await self._require_signature(read)
        verdict = check_claims(read.claims, self._rules, now)
        # The keys may have changed while this call waited for them. The current ones have verified the token.
        self._clear_after_change()
        self._cache.put(digest, verdict.principal, verdict.until)
        return verdict.principal

    def _clear_after_change(self) -> None:
        if self._jwks is not None and self._jwks.generation != self._generation:
            self._cache.clear()
            self._generation = self._jwks.generation

    async def _require_signature(self, token: SignedToken) -> None:
        tries = 0
        async for key in self._candidates(token):
            tries += 1
            if key.verifies(token):
                return
            if tries >= _TRIES_MAX:
                raise CredentialRefused(
                    f"none of the {tries} keys that were tried has signed it; name the key in its kid"
                )
        raise CredentialRefused("no known key has signed it")

    async def _candidates(self, token: SignedToken) -> AsyncIterator[VerificationKey]:
        for key in self._keys:
            if key.fits(token):
                yield key
        if self._jwks is not None:
            for key in await self._jwks.candidates(token):
                yield key
