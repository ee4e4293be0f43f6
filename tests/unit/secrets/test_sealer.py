"""Sealing by AES-256-GCM: what opens, and what does not."""

import pytest
from attrs import evolve

from adapters.aes_gcm_sealer import AesGcmSealer
from domain.identity import Owner
from domain.secrets.secret import SecretRef, SecretsUnavailable

REF = SecretRef(Owner("alice"), "TOKEN")
FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))
VALUE = "s3cret-välue"


def test_a_sealed_value_opens_and_shows_nothing() -> None:
    sealer = AesGcmSealer.of([FIRST])
    sealed, again = sealer.seal(REF, 1, VALUE), sealer.seal(REF, 1, VALUE)
    assert sealer.open(REF, 1, sealed) == VALUE
    assert VALUE.encode() not in sealed.content
    assert sealed.nonce != again.nonce
    assert sealed.content != again.content
    assert str(sealed.content) not in repr(sealed)


def test_the_first_key_seals_and_all_open() -> None:
    former, ring = AesGcmSealer.of([SECOND]), AesGcmSealer.of([FIRST, SECOND])
    sealed = former.seal(REF, 1, VALUE)
    assert ring.open(REF, 1, sealed) == VALUE
    assert ring.seal(REF, 1, VALUE).key_id == ring.key_ids[0] == "630dcd2966c43366"
    with pytest.raises(SecretsUnavailable, match=f"sealed by key {sealed.key_id}, which is not set"):
        AesGcmSealer.of([FIRST]).open(REF, 1, sealed)


@pytest.mark.parametrize(
    ("ref", "version"),
    [(SecretRef(Owner("bob"), "TOKEN"), 1), (SecretRef(Owner("alice"), "OTHER"), 1), (REF, 2)],
)
def test_a_row_that_was_copied_does_not_open(ref: SecretRef, version: int) -> None:
    sealer = AesGcmSealer.of([FIRST])
    with pytest.raises(SecretsUnavailable, match="does not belong to this owner, name and version"):
        sealer.open(ref, version, sealer.seal(REF, 1, VALUE))


@pytest.mark.parametrize("change", [{"nonce": bytes(12)}, {"nonce": b""}, {"content": bytes(40)}, {"content": b""}])
def test_a_row_that_was_altered_does_not_open(change: dict[str, bytes]) -> None:
    sealer = AesGcmSealer.of([FIRST])
    with pytest.raises(SecretsUnavailable, match="was altered"):
        sealer.open(REF, 1, evolve(sealer.seal(REF, 1, VALUE), **change))


def test_a_sealer_shows_no_key() -> None:
    assert repr(AesGcmSealer.of([FIRST])) == "AesGcmSealer()"
