"""Published keys: refreshed, kept when they cannot be, and never believed beyond their bounds."""

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
from tests.unit.tokens.forge import RSA, RSA_OTHER, SECRET, claims, eddsa, hs256, pem, rs256, token
from tests.unit.tokens.test_keys import EC_JWK, ED_JWK, RSA_JWK, numbers

OTHER_JWK = RSA_JWK | {"n": numbers(256, RSA_OTHER.public_key().public_numbers().n)[0], "kid": "other"}
OPTIONS = JwksOptions(asked_interval_s=0.0, wait_s=5.0, timeout_s=5.0, size_max=4096, keys_max=5)


@define(eq=False)
class Issuer:
    """Publishes what the test says, and counts how often it is asked."""

    keys: list[Any] = field(factory=lambda: [RSA_JWK])
    document: bytes | None = None
    status: int = 200
    asked: int = 0
    answers: asyncio.Event = field(factory=asyncio.Event)
    failure: Exception | None = None
    reached: asyncio.Event = field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.answers.set()

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        self.reached.set()
        assert request.headers["accept-encoding"] == "identity"
        await self.answers.wait()
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
        made.append(Jwks("https://issuer/keys", options, sleep, httpx2.MockTransport(issuer.answer)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def signed(kid: str | None = "r", key: Any = RSA, **changed: Any) -> str:
    header = {"alg": "RS256"} | ({} if kid is None else {"kid": kid})
    return token(claims(**changed), header, rs256(key))


def verifier(jwks: Jwks, *keys: Any) -> JwtVerifier:
    return JwtVerifier(ManualClock(), ClaimRules(), keys, jwks)


async def refused(jwks: Jwks, text: str) -> str:
    with pytest.raises(CredentialRefused) as caught:
        await verifier(jwks).verify(text)
    return caught.value.reason


async def test_a_token_is_verified_by_the_key_that_it_names(issuer, jwks_of):
    issuer.keys = [OTHER_JWK, RSA_JWK, EC_JWK, ED_JWK]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    assert (await verifier(jwks).verify(signed())).owner == Owner("alice")
    assert (await verifier(jwks).verify(signed("other", RSA_OTHER))).owner == Owner("alice")
    eddsa_token = token(header={"alg": "EdDSA", "kid": "o"}, sign=eddsa())
    assert (await verifier(jwks).verify(eddsa_token)).owner == Owner("alice")
    await refused(jwks, signed("other"))
    await refused(jwks, signed("e"))


UNNAMED, UNNAMED_OTHER = ({name: value for name, value in jwk.items() if name != "kid"} for jwk in (RSA_JWK, OTHER_JWK))


@pytest.mark.parametrize(
    ("good", "other", "kids"),
    [(UNNAMED, UNNAMED_OTHER, (None, "any")), (RSA_JWK, OTHER_JWK, (None,))],
    ids=["keys without a name", "tokens without a name"],
)
async def test_where_a_name_is_missing_keys_are_tried_and_never_more_than_four(issuer, jwks_of, good, other, kids):
    issuer.keys = [EC_JWK, other, other, other, good]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    for kid in kids:
        assert await verifier(jwks).verify(signed(kid))
    issuer.keys = [other, other, other, other, good]
    await jwks.refresh()
    for kid in kids:
        assert "let its kid name one" in await refused(jwks, signed(kid))


async def test_a_token_without_a_name_is_verified_by_keys_of_its_algorithm_alone(issuer, jwks_of):
    issuer.keys = [EC_JWK, ED_JWK]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    assert (await verifier(jwks).verify(token(header={"alg": "EdDSA"}, sign=eddsa()))).owner == Owner("alice")
    assert await refused(jwks, signed(None)) == "no key that is known here has signed it"


async def test_a_fixed_key_needs_no_published_one(issuer, jwks_of):
    issuer.failure = httpx2.ConnectError("away")
    known = verifier(jwks_of(issuer), secret_key(SECRET))
    assert (await known.verify(token())).owner == Owner("alice")
    assert issuer.asked == 0


async def test_a_published_public_key_is_no_secret(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    for stolen in (pem(RSA), RSA_JWK["n"], json.dumps(RSA_JWK)):
        await refused(jwks, token(header={"alg": "HS256", "kid": "r"}, sign=hs256(stolen)))


async def test_published_secrets_are_left_alone(issuer, jwks_of):
    issuer.keys = [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "r"}, "no key", RSA_JWK]
    jwks = jwks_of(issuer)
    await jwks.refresh()
    await refused(jwks, token(header={"alg": "HS256", "kid": "r"}, sign=hs256("secret-secret-secret-secret-secret")))
    assert await verifier(jwks).verify(signed())


async def test_as_long_as_no_keys_were_fetched_nobody_is_refused_for_good(issuer, jwks_of):
    issuer.failure = httpx2.ConnectError("away")
    jwks = jwks_of(issuer)
    with pytest.raises(JwksUnavailable):
        await verifier(jwks).verify(signed())
    assert (await jwks.health())["status"] == "degraded"
    issuer.failure = None
    assert await verifier(jwks).verify(signed())
    assert await jwks.health() == {"status": "ok", "keys": 1}


async def test_everybody_waits_a_moment_for_the_first_keys(issuer, jwks_of):
    issuer.answers.clear()
    known = verifier(jwks_of(issuer, JwksOptions(wait_s=5.0)))
    waiting = [asyncio.create_task(known.verify(signed(iat=None, jti=str(n)))) for n in range(5)]
    await asyncio.wait_for(issuer.reached.wait(), 5)
    issuer.answers.set()
    assert len(await asyncio.gather(*waiting)) == 5
    assert issuer.asked == 1


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
async def test_the_last_good_keys_are_kept_whatever_comes_instead(issuer, jwks_of, break_it):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    for name, value in break_it.items():
        setattr(issuer, name, value)
    await jwks.refresh()
    assert await verifier(jwks).verify(signed())
    health = await jwks.health()
    assert (health["status"], health["keys"]) == ("degraded", 1)
    assert health["reason"]


async def test_a_failure_that_goes_on_is_told_once(issuer, jwks_of):
    issuer.status = 500
    jwks = jwks_of(issuer)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            await jwks.refresh()
        issuer.status = 200
        await jwks.refresh()
    assert [line["event"] for line in lines] == ["jwks_refresh_failed", "jwks_changed"]


async def test_an_issuer_that_does_not_answer_is_given_up(issuer, jwks_of):
    issuer.answers.clear()
    jwks = jwks_of(issuer, evolve(OPTIONS, timeout_s=0.01))
    await jwks.refresh()
    assert (await jwks.health())["status"] == "degraded"


async def test_keys_that_are_withdrawn_verify_nothing_any_more_not_even_what_is_remembered(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    known, text = verifier(jwks), signed()
    assert await known.verify(text)
    issuer.keys = [OTHER_JWK]
    await jwks.refresh()
    with pytest.raises(CredentialRefused):
        await known.verify(text)


async def test_what_is_remembered_outlives_a_refresh_that_changes_nothing(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    known, text = verifier(jwks), signed()
    principal = await known.verify(text)
    await jwks.refresh()
    assert await known.verify(text) is principal


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer, jwks_of):
    jwks = jwks_of(issuer)
    await jwks.refresh()
    issuer.keys = [RSA_JWK, OTHER_JWK]
    assert await verifier(jwks).verify(signed("other", RSA_OTHER))
    assert issuer.asked == 2


async def test_unknown_keys_do_not_storm_the_issuer(issuer, jwks_of):
    jwks = jwks_of(issuer, JwksOptions(asked_interval_s=3600.0, wait_s=5.0))
    await jwks.refresh()
    for n in range(5):
        await refused(jwks, signed(f"unknown {n}", RSA_OTHER))
    assert issuer.asked == 2


async def test_who_waits_for_a_key_waits_for_one_refresh_and_not_for_long(issuer, jwks_of):
    jwks = jwks_of(issuer, JwksOptions(asked_interval_s=0.0, wait_s=0.01))
    await jwks.refresh()
    issuer.answers.clear()
    await asyncio.gather(*(refused(jwks, signed(f"unknown {n}", RSA_OTHER)) for n in range(5)))
    assert issuer.asked == 2
    issuer.answers.set()


async def test_keys_are_refreshed_for_ever_and_sooner_after_a_failure(issuer, jwks_of):
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
    assert issuer.asked == 3


async def test_a_refresh_under_way_ends_with_the_rest(issuer, jwks_of):
    issuer.answers.clear()
    jwks = jwks_of(issuer, JwksOptions(timeout_s=60.0))
    waiting = asyncio.create_task(jwks.refresh())
    await asyncio.wait_for(issuer.reached.wait(), 5)
    await jwks.close()
    await asyncio.wait_for(waiting, 5)
