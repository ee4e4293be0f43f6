"""Published keys: refreshed, kept if a refresh fails, and limited in size and number."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
import structlog
from attrs import define, evolve, field

from adapters.jwt.claims import ClaimRules
from adapters.jwt.jwks import Jwks, JwksOptions
from adapters.jwt.keys import secret_key
from adapters.jwt.verifier import JwtVerifier
from adapters.memory.manual_clock import ManualClock
from domain.access.credentials import CredentialRefused, JwksUnavailable
from domain.identity import Owner
from tests.unit.jwt.forge import RSA, RSA_OTHER, SECRET, claims, eddsa, hs256, pem, rs256, token
from tests.unit.jwt.test_keys import EC_JWK, ED_JWK, RSA_JWK, numbers

OTHER_JWK = RSA_JWK | {"n": numbers(256, RSA_OTHER.public_key().public_numbers().n)[0], "kid": "other"}
OPTIONS = JwksOptions(unknown_key_interval_s=0.0, wait_s=5.0, timeout_s=5.0, size_max=4096, keys_max=5)


@define(eq=False)
class Issuer:
    """Publishes what the test sets, and counts the requests."""

    keys: list[Any] = field(factory=lambda: [RSA_JWK])
    document: bytes | None = None
    status: int = 200
    requests: int = 0
    may_respond: asyncio.Event = field(factory=asyncio.Event)
    failure: Exception | None = None
    reached: asyncio.Event = field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.may_respond.set()

    async def respond(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        self.reached.set()
        assert request.headers["accept-encoding"] == "identity"
        await self.may_respond.wait()
        if self.failure is not None:
            raise self.failure
        return httpx2.Response(self.status, content=self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        document = self.document or json.dumps({"keys": self.keys}).encode()
        yield document[:10]
        yield document[10:]


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


Make = Callable[..., Jwks]


@pytest.fixture
async def jwks_of() -> AsyncIterator[Make]:
    made: list[Jwks] = []

    def make(issuer: Issuer, options: JwksOptions = OPTIONS, sleep: Any = asyncio.sleep) -> Jwks:
        made.append(Jwks("https://issuer/keys", options, sleep, httpx2.MockTransport(issuer.respond)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def signed(kid: str | None = "r", key: Any = RSA, **changed: Any) -> str:
    header = {"alg": "RS256"} | ({} if kid is None else {"kid": kid})
    return token(claims(**changed), header, rs256(key))


def verifier(jwks: Jwks, *keys: Any) -> JwtVerifier:
    return JwtVerifier(ManualClock(), ClaimRules(), keys, jwks)


async def rejection(jwks: Jwks, text: str) -> str:
    with pytest.raises(CredentialRefused) as caught:
        await verifier(jwks).verify(text)
    return caught.value.reason


async def test_a_token_is_verified_by_the_key_of_its_kid(issuer, jwks_of):
    issuer.keys = [OTHER_JWK, RSA_JWK, EC_JWK, ED_JWK]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    assert (await verifier(jwks).verify(signed())).owner == Owner("alice")
    assert (await verifier(jwks).verify(signed("other", RSA_OTHER))).owner == Owner("alice")
    eddsa_token = token(header={"alg": "EdDSA", "kid": "o"}, sign=eddsa())
    assert (await verifier(jwks).verify(eddsa_token)).owner == Owner("alice")
    await rejection(jwks, signed("other"))
    await rejection(jwks, signed("e"))


UNNAMED, UNNAMED_OTHER = ({name: value for name, value in jwk.items() if name != "kid"} for jwk in (RSA_JWK, OTHER_JWK))


@pytest.mark.parametrize(
    ("good", "other", "kids"),
    [(UNNAMED, UNNAMED_OTHER, (None, "any")), (RSA_JWK, OTHER_JWK, (None,))],
    ids=["keys without a kid", "tokens without a kid"],
)
async def test_without_a_kid_up_to_four_keys_are_tried(issuer, jwks_of, good, other, kids):
    issuer.keys = [EC_JWK, other, other, other, good]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    for kid in kids:
        assert await verifier(jwks).verify(signed(kid))
    issuer.keys = [other, other, other, other, good]
    await jwks.refresh()
    for kid in kids:
        assert "name the key in its kid" in await rejection(jwks, signed(kid))


async def test_a_token_without_a_kid_is_verified_by_keys_of_its_algorithm_only(issuer, jwks_of):
    issuer.keys = [EC_JWK, ED_JWK]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    assert (await verifier(jwks).verify(token(header={"alg": "EdDSA"}, sign=eddsa()))).owner == Owner("alice")
    assert await rejection(jwks, signed(None)) == "no known key has signed it"


async def test_a_fixed_key_needs_no_published_key(issuer, jwks_of):
    issuer.failure = httpx2.ConnectError("away")
    known = verifier(jwks_of(issuer), secret_key(SECRET))
    assert (await known.verify(token())).owner == Owner("alice")
    assert issuer.requests == 0


async def test_a_published_public_key_is_not_a_secret(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    for stolen in (pem(RSA), RSA_JWK["n"], json.dumps(RSA_JWK)):
        await rejection(jwks, token(header={"alg": "HS256", "kid": "r"}, sign=hs256(stolen)))


async def test_published_secrets_are_ignored(issuer, jwks_of):
    issuer.keys = [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "r"}, "no key", RSA_JWK]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    await rejection(jwks, token(header={"alg": "HS256", "kid": "r"}, sign=hs256("secret-secret-secret-secret-secret")))
    assert await verifier(jwks).verify(signed())


async def test_before_the_first_keys_calls_get_a_temporary_error(issuer, jwks_of):
    issuer.failure = httpx2.ConnectError("away")
    jwks = jwks_of(issuer)
    with pytest.raises(JwksUnavailable):
        await verifier(jwks).verify(signed())
    assert (await jwks.health())["status"] == "degraded"
    issuer.failure = None
    assert await verifier(jwks).verify(signed())
    assert await jwks.health() == {"status": "ok", "keys": 1}


async def test_calls_wait_for_the_first_keys(issuer, jwks_of):
    issuer.may_respond.clear()
    known = verifier(jwks_of(issuer, JwksOptions(wait_s=5.0)))
    waiting = [asyncio.create_task(known.verify(signed(iat=None, jti=str(n)))) for n in range(5)]
    await asyncio.wait_for(issuer.reached.wait(), 5)
    issuer.may_respond.set()
    assert len(await asyncio.gather(*waiting)) == 5
    assert issuer.requests == 1


@pytest.mark.parametrize(
    "break_it",
    [
        {"status": 500},
        {"status": 302},
        {"document": b"x" * 5000},
        {"document": b"no json"},
        {"document": b"[]"},
        {"document": b'{"keys": {}}'},
        {"document": b'{"keys": [], "keys": []}'},
        {"document": b"[" * 4000},
        {"document": b"\xff"},
        {"keys": [RSA_JWK] * 6},
        {"failure": httpx2.ReadError("reset")},
        {"failure": RuntimeError("a bug")},
    ],
    ids=["error", "redirect", "huge", "text", "list", "object", "twice", "deep", "binary", "many", "reset", "bug"],
)
async def test_a_failed_refresh_keeps_the_last_valid_keys(issuer, jwks_of, break_it):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    for name, value in break_it.items():
        setattr(issuer, name, value)
    await jwks.refresh()
    assert await verifier(jwks).verify(signed())
    health = await jwks.health()
    assert (health["status"], health["keys"]) == ("degraded", 1)
    assert health["reason"]


async def test_a_continuing_failure_is_logged_once(issuer, jwks_of):
    issuer.status = 500
    jwks = jwks_of(issuer)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            await jwks.refresh()
        issuer.status = 200
        await jwks.refresh()
    assert [line["event"] for line in lines] == ["jwks_refresh_failed", "jwks_changed"]


async def test_a_silent_issuer_is_a_failure_after_the_timeout(issuer, jwks_of):
    issuer.may_respond.clear()
    jwks = jwks_of(issuer, evolve(OPTIONS, timeout_s=0.01))
    await jwks.refresh()
    assert (await jwks.health())["status"] == "degraded"


async def test_removed_keys_verify_no_tokens_not_even_cached_ones(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    known, text = verifier(jwks), signed()
    assert await known.verify(text)
    issuer.keys = [OTHER_JWK]
    await jwks.refresh()
    with pytest.raises(CredentialRefused):
        await known.verify(text)


async def test_the_cache_survives_a_refresh_without_changes(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    known, text = verifier(jwks), signed()
    principal = await known.verify(text)
    await jwks.refresh()
    assert await known.verify(text) is principal


async def test_a_token_with_an_unknown_kid_starts_a_refresh(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    issuer.keys = [RSA_JWK, OTHER_JWK]
    assert await verifier(jwks).verify(signed("other", RSA_OTHER))
    assert issuer.requests == 2


async def test_unknown_kids_start_few_refreshes(issuer, jwks_of):
    jwks = jwks_of(issuer, JwksOptions(unknown_key_interval_s=3600.0, wait_s=5.0))
    await jwks.refresh()
    for n in range(5):
        await rejection(jwks, signed(f"unknown {n}", RSA_OTHER))
    assert issuer.requests == 2


async def test_concurrent_calls_share_one_refresh_and_wait_a_limited_time(issuer, jwks_of):
    jwks = jwks_of(issuer, JwksOptions(unknown_key_interval_s=0.0, wait_s=0.01))
    await jwks.refresh()
    issuer.may_respond.clear()
    await asyncio.gather(*(rejection(jwks, signed(f"unknown {n}", RSA_OTHER)) for n in range(5)))
    assert issuer.requests == 2
    issuer.may_respond.set()


async def test_keys_are_refreshed_repeatedly_and_sooner_after_a_failure(issuer, jwks_of):
    waits: list[float] = []
    done = asyncio.Event()

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)
        issuer.failure = None
        if len(waits) == 3:
            done.set()
            await asyncio.Event().wait()

    issuer.failure = httpx2.ConnectError("away")
    jwks = jwks_of(issuer, JwksOptions(interval_s=300.0, retry_s=5.0), sleep)
    running = asyncio.create_task(jwks.run())
    await asyncio.wait_for(done.wait(), 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert waits[0] <= 5.0
    assert all(270.0 <= wait <= 300.0 for wait in waits[1:])
    assert issuer.requests == 3


async def test_close_cancels_a_refresh_in_progress(issuer, jwks_of):
    issuer.may_respond.clear()
    jwks = jwks_of(issuer, JwksOptions(timeout_s=60.0))
    waiting = asyncio.create_task(jwks.refresh())
    await asyncio.wait_for(issuer.reached.wait(), 5)
    await jwks.close()
    await asyncio.wait_for(waiting, 5)
