"""Valid tokens name their caller; all others are rejected."""

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from adapters.jwt.keys import InvalidKey, pem_key, secret_key
from adapters.jwt.verifier import JwtVerifier
from adapters.memory.manual_clock import ManualClock
from domain.access.credentials import CREDENTIAL_SIZE_MAX, CredentialRefused
from domain.access.principal import Principal, Scope
from domain.identity import Owner
from tests.unit.jwt.forge import (
    EC,
    ED,
    NOW,
    RSA,
    RSA_OTHER,
    SECRET,
    b64,
    claims,
    eddsa,
    es256,
    hs256,
    part,
    pem,
    rs256,
    token,
)

ALICE = Principal(Owner("alice"), frozenset({Scope.EXECUTE_ALL}))
NOW_S = int(NOW.timestamp())
RS = {"alg": "RS256", "typ": "JWT", "kid": "anything"}
HUGE = "x" * CREDENTIAL_SIZE_MAX


def verifier(*keys: Any, rules: ClaimRules | None = None, clock: ManualClock | None = None) -> JwtVerifier:
    return JwtVerifier(clock or ManualClock(), rules or ClaimRules(), keys or (secret_key(SECRET),))


async def rejection(text: str, *keys: Any, **options: Any) -> str:
    with pytest.raises(CredentialRefused) as caught:
        await verifier(*keys, **options).verify(text)
    return caught.value.reason


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (secret_key(SECRET), token()),
        (pem_key(pem(RSA)), token(header=RS, sign=rs256())),
        (pem_key(pem(EC)), token(header={"alg": "ES256"}, sign=es256())),
        (pem_key(pem(ED)), token(header={"alg": "EdDSA"}, sign=eddsa())),
        (pem_key(pem(ED)), token(header={"alg": "Ed25519", "typ": "at+JWT"}, sign=eddsa())),
        (pem_key(pem(ED)), token(header={"alg": "Ed25519", "typ": "application/at+jwt"}, sign=eddsa())),
    ],
    ids=["HS256", "RS256", "ES256", "EdDSA", "Ed25519", "type in full"],
)
async def test_a_token_that_the_holder_of_the_key_signed_names_its_caller(key, text):
    assert await verifier(key).verify(text) == ALICE


async def test_of_several_keys_the_matching_one_verifies():
    both = verifier(secret_key(SECRET), pem_key(pem(RSA)))
    assert await both.verify(token()) == ALICE
    assert await both.verify(token(header=RS, sign=rs256())) == ALICE


@pytest.mark.parametrize(
    ("header", "sign"),
    [
        ({"alg": "none"}, lambda _: b""),
        ({"alg": "None"}, lambda _: b""),
        ({"alg": "NONE"}, hs256()),
        ({"alg": ""}, hs256()),
        ({"alg": "hs256"}, hs256()),
        ({"alg": "HS512"}, hs256()),
        ({"alg": ["HS256"]}, hs256()),
        ({"alg": None}, hs256()),
        ({"typ": "JWT"}, hs256()),
        (RS, hs256()),
        ({"alg": "HS256"}, hs256("another secret of thirty-two bytes!")),
        ({"alg": "HS256"}, hs256("")),
        ({"alg": "HS256"}, lambda text: hs256()(text)[:16]),
        ({"alg": "HS256"}, lambda text: hs256()(text) + b"\0"),
        ({"alg": "HS256"}, lambda text: hs256()(text + b" ")),
    ],
)
async def test_a_token_cannot_choose_its_algorithm(header, sign):
    signed = f"{part(header)}.{part(claims())}"
    await rejection(f"{signed}.{b64(sign(signed.encode()))}")
    await rejection(f"{signed}.")


@pytest.mark.parametrize(
    "stolen",
    [pem(RSA), pem(RSA).strip(), pem(RSA).replace("\n", "\r\n")],
    ids=["as it is", "stripped", "with other line ends"],
)
async def test_a_public_key_is_not_a_secret(stolen):
    forged = token(header={"alg": "HS256"}, sign=hs256(stolen))
    await rejection(forged, pem_key(pem(RSA)))
    await rejection(forged, pem_key(pem(RSA)), secret_key(SECRET))
    with pytest.raises(InvalidKey):
        secret_key(stolen)


@pytest.mark.parametrize(
    ("header", "sign"),
    [
        ({"alg": "RS256"}, rs256(RSA_OTHER)),
        (
            {"alg": "PS256"},
            lambda text: RSA.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
        ),
        ({"alg": "RS512"}, lambda text: RSA.sign(text, padding.PKCS1v15(), hashes.SHA512())),
        ({"alg": "RS256"}, lambda text: RSA.sign(text, padding.PKCS1v15(), hashes.SHA1())),  # the attack
        ({"alg": "RS256"}, lambda _: b"\0" * 256),
        ({"alg": "RS256"}, lambda _: b""),
        ({"alg": "ES256"}, es256()),
        ({"alg": "EdDSA"}, eddsa()),
    ],
)
async def test_only_the_holder_of_an_rsa_key_can_sign(header, sign):
    await rejection(token(header=header, sign=sign), pem_key(pem(RSA)))


@pytest.mark.parametrize(
    "sign",
    [
        lambda text: EC.sign(text, ec.ECDSA(hashes.SHA256())),
        lambda _: b"\0" * 64,
        lambda _: b"\xff" * 64,
        es256(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["as DER", "zeros", "beyond the order", "another key"],
)
async def test_only_the_holder_of_a_p256_key_can_sign(sign):
    await rejection(token(header={"alg": "ES256"}, sign=sign), pem_key(pem(EC)))


@pytest.mark.parametrize(
    "header",
    [
        {
            "alg": "RS256",
            "jwk": {
                "kty": "RSA",
                "n": b64(RSA_OTHER.public_key().public_numbers().n.to_bytes(256, "big")),
                "e": "AQAB",
            },
        },
        {"alg": "RS256", "jku": "http://127.0.0.1:1/keys"},
        {"alg": "RS256", "x5u": "http://127.0.0.1:1/cert"},
        {"alg": "RS256", "x5c": [b64(b"certificate")]},
        {"alg": "RS256", "kid": "../../../../dev/null"},
        {"alg": "RS256", "kid": "x' UNION SELECT 'secret"},
    ],
)
async def test_a_key_in_the_token_itself_is_ignored(header):
    await rejection(token(header=header, sign=rs256(RSA_OTHER)), pem_key(pem(RSA)))
    assert await verifier(pem_key(pem(RSA))).verify(token(header=header, sign=rs256())) == ALICE


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "b64": True},
        {"alg": "HS256", "zip": "DEF"},
        {"alg": "HS256", "enc": "A256GCM"},
        {"alg": "HS256", "typ": "dpop+jwt"},
        {"alg": "HS256", "typ": "logout+jwt"},
        {"alg": "HS256", "typ": 5},
        {"alg": "HS256", "kid": 5},
        {"alg": "HS256", "kid": {"a": 1}},
    ],
)
async def test_a_header_with_unsupported_parameters_is_rejected(header):
    await rejection(token(header=header))


@pytest.mark.parametrize(
    ("head", "content"),
    [
        ('{"alg":"HS256","alg":"none"}', None),
        ('{"alg":"none","alg":"HS256"}', None),
        ('{"alg":"HS256","kid":"a","kid":"b"}', None),
        (None, json.dumps(claims())[:-1] + ',"sub":"bob"}'),
        (None, json.dumps(claims())[:-1] + f',"exp":{NOW_S + 10**9}}}'),
        (None, json.dumps(claims(act={"sub": "x"}))[:-2] + ',"sub":"y"}}'),
    ],
)
async def test_a_repeated_name_is_rejected(head, content):
    await rejection(token(content=content, header=head))


GOOD = token()
HEAD, BODY, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        f"{HEAD}.{BODY}",
        f"{HEAD}..{SIGNATURE}",
        f".{BODY}.{SIGNATURE}",
        f"{GOOD}.",
        f"{GOOD}.{SIGNATURE}",
        f"{GOOD}=",
        f"{HEAD}=.{BODY}.{SIGNATURE}",
        f"{HEAD}.{BODY}==.{SIGNATURE}",
        f" {GOOD}",
        f"{GOOD}\n",
        f"{HEAD}.{BODY}.{SIGNATURE[:-1]}",
        f"{HEAD}.{BODY}.{SIGNATURE[:-1]}+",
        f"{HEAD}.{BODY}.{SIGNATURE[:-1]}/",
        f"{HEAD}.{BODY}.{SIGNATURE[:-1]}ä",
        f"{HEAD}.{BODY}.{SIGNATURE}A",
        f"{HEAD}.{BODY}.{SIGNATURE}AA",
        f"{HEAD[:-1]}.{BODY}.{SIGNATURE}",
        f"{part('[]')}.{BODY}.{SIGNATURE}",
        f"{part('null')}.{BODY}.{SIGNATURE}",
        f"{part(b'{' + bytes([0xff]) + b'}')}.{BODY}.{SIGNATURE}",
        f"{part('[' * 5000)}.{BODY}.{SIGNATURE}",
        f"{part('{not json')}.{BODY}.{SIGNATURE}",
        json.dumps({"payload": BODY, "signatures": [{"protected": HEAD, "signature": SIGNATURE}]}),
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
    ],
)  # fmt: skip
async def test_a_text_that_is_not_a_compact_token_is_rejected(text):
    await rejection(text)


def test_the_signature_of_the_example_has_spare_bits_in_its_last_character():
    """32 bytes take 43 characters. The last one has two spare bits: four spellings, one of them canonical."""
    assert len(SIGNATURE) == 43


async def test_only_the_canonical_spelling_of_a_signature_is_valid():
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(SIGNATURE[-1])
    for spelling in range(last - last % 4, last - last % 4 + 4):
        text = f"{HEAD}.{BODY}.{SIGNATURE[:-1]}{alphabet[spelling]}"
        if text == GOOD:
            assert await verifier().verify(text) == ALICE
        else:
            await rejection(text)


@pytest.mark.parametrize(
    "text", [HUGE + "x", f"{HEAD}.{HUGE}.{SIGNATURE}", f"{HEAD}.{BODY}.{HUGE}", token(claims(x=HUGE))]
)
async def test_huge_tokens_are_rejected(text):
    assert "neither" in await rejection(text)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": None}, "it has no exp"),
        ({"exp": NOW_S - 30}, "it has expired"),
        ({"exp": 0}, "it has expired"),
        ({"exp": "tomorrow"}, "its exp is not a point in time"),
        ({"exp": str(NOW_S + 600)}, "its exp is not a point in time"),
        ({"exp": True}, "its exp is not a point in time"),
        ({"exp": -1}, "its exp is not a point in time"),
        ({"exp": [NOW_S + 600]}, "its exp is not a point in time"),
        ({"nbf": NOW_S + 32}, "it is not valid yet"),
        ({"nbf": "x"}, "its nbf is not a point in time"),
        ({"iat": NOW_S + 32}, "it is not valid yet"),
        ({"iat": {}}, "its iat is not a point in time"),
        ({"sub": None}, "its sub is not a string"),
        ({"sub": 5}, "its sub is not a string"),
        ({"sub": ["alice"]}, "its sub is not a string"),
        ({"sub": {"id": "alice"}}, "its sub is not a string"),
        ({"sub": True}, "its sub is not a string"),
        ({"sub": ""}, None),
        ({"sub": "anonymous"}, None),
        ({"sub": "shared"}, None),
        ({"sub": "Anonymous"}, None),
        ({"sub": "*"}, None),
        ({"sub": " alice"}, None),
        ({"sub": "al\nice"}, None),
        ({"sub": "al\0ice"}, None),
        ({"sub": "\ud800"}, None),
        ({"sub": "a" * 256}, None),
        ({"sub": "ä" * 128}, None),
        ({"aud": "pglambda"}, "it is for another audience"),
        ({"aud": []}, "it is for another audience"),
        ({"aud": [None]}, "it is for another audience"),
        ({"scope": ["execute:all"]}, "its scope must be a string, and its scopes a list"),
        ({"scopes": "execute:all"}, "its scope must be a string, and its scopes a list"),
        ({"cnf": {"jkt": "x"}}, "it is bound to a key of its holder, so it is not a bearer token"),
    ],
)
async def test_invalid_claims_are_rejected_although_the_signature_is_valid(changed, reason):
    found = await rejection(token(claims(**changed)))
    assert found == reason if reason else found.startswith("its sub cannot be an owner: ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
async def test_an_invalid_number_is_rejected(number):
    await rejection(token(f'{{"sub":"alice","exp":{number}}}'))


@pytest.mark.parametrize(("leeway_s", "late_s"), [(0, 0), (30, 30), (60, 60)])
async def test_a_token_is_valid_until_it_expires_plus_the_tolerance(leeway_s, late_s):
    clock = ManualClock()
    rules = ClaimRules(leeway_s=leeway_s)
    text = token(claims(exp=NOW_S + 600))
    clock.advance(timedelta(seconds=600 + late_s, microseconds=-NOW.microsecond - 1))
    assert await verifier(rules=rules, clock=clock).verify(text) == ALICE
    clock.advance(timedelta(microseconds=1))
    assert await rejection(text, rules=rules, clock=clock) == "it has expired"


@pytest.mark.parametrize("name", ["nbf", "iat"])
async def test_a_token_is_valid_from_its_start_minus_the_tolerance(name):
    clock = ManualClock()
    text = token(claims(**{name: NOW_S + 100}))
    clock.advance(timedelta(seconds=70, microseconds=-NOW.microsecond - 1))
    await rejection(text, clock=clock)
    clock.advance(timedelta(microseconds=1))
    assert await verifier(clock=clock).verify(text) == ALICE


@pytest.mark.parametrize("leeway_s", [-1, 61])
def test_the_tolerance_is_a_minute_at_most(leeway_s):
    with pytest.raises(ValueError, match="leeway_s"):
        ClaimRules(leeway_s=leeway_s)


@pytest.mark.parametrize("issuer", [None, "https://other", "https://issuer/", "https://issue", ["https://issuer"], 5])
async def test_a_token_of_another_issuer_is_rejected(issuer):
    rules = ClaimRules(issuer="https://issuer")
    assert await rejection(token(claims(iss=issuer)), rules=rules) == "it is from another issuer"
    assert await verifier(rules=rules).verify(token(claims(iss="https://issuer"))) == ALICE


@pytest.mark.parametrize(
    "audience", [None, "other", "pglambda2", "pglambd", ["other"], [], {"pglambda": 1}, 5, [["pglambda"]]]
)
async def test_a_token_for_another_audience_is_rejected(audience):
    rules = ClaimRules(audience="pglambda")
    assert await rejection(token(claims(aud=audience)), rules=rules) == "it is for another audience"


@pytest.mark.parametrize("audience", ["pglambda", ["other", "pglambda"]])
async def test_a_token_for_several_audiences_is_accepted(audience):
    assert await verifier(rules=ClaimRules(audience="pglambda")).verify(token(claims(aud=audience))) == ALICE


@pytest.mark.parametrize(
    ("changed", "scopes"),
    [
        ({"scope": None}, set()),
        ({"scope": ""}, set()),
        ({"scope": "openid execute:python  admin email"}, {Scope.EXECUTE_PYTHON, Scope.ADMIN}),
        ({"scope": None, "scopes": ["read:functions", "profile", 5, None]}, {Scope.READ_FUNCTIONS}),
        ({"scope": "admin", "scopes": ["read:functions"]}, {Scope.ADMIN, Scope.READ_FUNCTIONS}),
        ({"scope": "ADMIN admin:all execute"}, set()),
    ],
)
async def test_scopes_are_a_string_or_a_list_and_unknown_ones_have_no_effect(changed, scopes):
    assert (await verifier().verify(token(claims(**changed)))).scopes == scopes


async def test_a_cached_token_expires():
    clock = ManualClock()
    known, text = verifier(clock=clock), token()
    assert await known.verify(text) is await known.verify(text)
    clock.advance(timedelta(seconds=630))
    with pytest.raises(CredentialRefused):
        await known.verify(text)


async def test_a_cached_token_does_not_verify_another():
    known = verifier()
    await known.verify(GOOD)
    for text in (GOOD[:-1], f"{HEAD}.{part(claims(sub='bob'))}.{SIGNATURE}"):
        with pytest.raises(CredentialRefused):
            await known.verify(text)


async def test_an_issued_token_is_verified_with_issuer_and_audience():
    rules = ClaimRules("https://issuer", "pglambda")
    made = issue_token(SECRET, Owner("alice"), {Scope.ADMIN}, rules, (NOW, timedelta(minutes=5)))
    clock = ManualClock()
    here = verifier(rules=rules, clock=clock)
    assert await here.verify(made) == Principal(Owner("alice"), frozenset({Scope.ADMIN}))
    clock.advance(timedelta(minutes=5, seconds=30))
    with pytest.raises(CredentialRefused):
        await here.verify(made)


@pytest.mark.parametrize("secret", ["", "x" * 31, pem(RSA)], ids=["nothing", "short", "public"])
def test_no_token_is_signed_with_an_invalid_secret(secret):
    with pytest.raises(InvalidKey):
        issue_token(secret, Owner("alice"), (), ClaimRules(), (NOW, timedelta(minutes=5)))
