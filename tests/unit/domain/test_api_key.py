"""Keys: their text, their digest, and how long they hold."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from domain.access.api_key import EXPIRY_NOTICE, ApiKey, ApiKeyNotFound, ApiKeyText, split_key
from domain.access.credentials import CredentialRefused
from domain.access.principal import Principal, Scope
from domain.identity import Owner, uuid7_at

NOW = ManualClock().now()
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
SECRET = "Ab-_" * 10 + "xyz"
TEXT = ApiKeyText(uuid7_at(NOW, 7), SECRET)
KEY = ApiKey(TEXT.key_id, Owner("alice"), frozenset({Scope.EXECUTE_ALL}), TEXT.secret_hash, NOW + HOUR)


def test_a_key_is_recognised_by_its_prefix_and_parsed() -> None:
    assert str(TEXT).startswith(f"pgl_{TEXT.key_id.hex}_")
    assert split_key(str(TEXT)) == (TEXT.key_id.hex, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "pgl_",
        f"pgl_{TEXT.key_id.hex}",
        f"pgl_{TEXT.key_id.hex}_",
        f"pgl_{TEXT.key_id}_{SECRET}",
        f"pgl_{TEXT.key_id.hex.upper()}_{SECRET}",
        f"PGL_{TEXT.key_id.hex}_{SECRET}",
        f"{TEXT}x",
        f"{TEXT}\n",
        f"{TEXT}"[:-1],
        f"pgl_{TEXT.key_id.hex}_{SECRET[:-1]}ä",
    ],
)
def test_another_text_is_no_key(text: str) -> None:
    with pytest.raises(CredentialRefused):
        split_key(text)


def test_neither_secret_nor_digest_is_shown() -> None:
    assert SECRET not in repr(TEXT)
    assert "secret" not in repr(KEY)


def test_the_holder_of_the_secret_acts_as_the_owner_until_the_key_expires() -> None:
    assert KEY.admit(SECRET, NOW + HOUR - timedelta(microseconds=1)) == Principal(Owner("alice"), KEY.scopes)
    with pytest.raises(CredentialRefused, match="expired"):
        KEY.admit(SECRET, NOW + HOUR)


def test_a_key_of_an_owner_that_has_become_reserved_is_refused() -> None:
    older = evolve(KEY, owner=Owner("shared"))
    with pytest.raises(CredentialRefused, match="shared is a reserved name; create a key for another owner"):
        older.admit(SECRET, NOW)


def test_a_key_without_expiry_is_valid_until_it_is_revoked() -> None:
    endless = ApiKey(TEXT.key_id, Owner("alice"), frozenset(), TEXT.secret_hash)
    assert endless.admit(SECRET, NOW + 10_000 * HOUR).owner == "alice"
    with pytest.raises(CredentialRefused, match="revoked"):
        endless.revoke(NOW).admit(SECRET, NOW)


def test_the_first_revocation_stays() -> None:
    revoked = KEY.revoke(NOW)
    assert revoked.revoked_at == NOW
    assert revoked.revoke(NOW + HOUR) is revoked


@pytest.mark.parametrize("key", [KEY, KEY.revoke(NOW)])
@pytest.mark.parametrize("secret", ["", SECRET[:-1] + "A", SECRET + "A"])
def test_without_the_secret_a_caller_learns_nothing_about_the_key(key: ApiKey, secret: str) -> None:
    with pytest.raises(CredentialRefused) as caught:
        key.admit(secret, NOW + 2 * HOUR)
    assert caught.value.reason == "the API key is unknown"


def test_a_key_was_created_at_the_instant_in_its_id() -> None:
    assert KEY.created_at == NOW


def test_the_error_for_an_unknown_id_says_what_to_do() -> None:
    assert "pglambda keys list" in ApiKeyNotFound().message
    assert ApiKeyNotFound().details == {}


def test_an_id_is_a_version_7() -> None:
    assert UUID(split_key(str(TEXT))[0]).version == 7


class TestItsEnd:
    """KEY ends after an hour; its caller is told from two weeks before."""

    def test_a_caller_learns_the_end_of_a_key_that_ends_soon(self) -> None:
        assert KEY.admit(SECRET, NOW).expires_at == KEY.expires_at
        later = evolve(KEY, expires_at=NOW + EXPIRY_NOTICE + HOUR)
        assert later.admit(SECRET, NOW).expires_at is None
        assert later.admit(SECRET, NOW + HOUR).expires_at == later.expires_at

    @pytest.mark.parametrize("key", [KEY.revoke(NOW), evolve(KEY, expires_at=None), evolve(KEY, expires_at=NOW)])
    def test_a_key_that_is_revoked_or_over_or_endless_does_not_end_soon(self, key: ApiKey) -> None:
        assert not key.expires_soon(NOW)

    def test_a_key_is_unused_from_its_last_use_or_its_creation_on(self) -> None:
        endless = evolve(KEY, expires_at=None)
        assert not endless.is_unused(NOW + HOUR - MICROSECOND, HOUR)
        assert endless.is_unused(NOW + HOUR, HOUR)
        used = evolve(endless, last_used_at=NOW + HOUR)
        assert not used.is_unused(NOW + HOUR, HOUR)
        assert used.is_unused(NOW + 2 * HOUR, HOUR)

    def test_a_key_that_is_no_longer_valid_is_not_unused(self) -> None:
        assert not KEY.is_unused(NOW + 2 * HOUR, HOUR)
        assert not evolve(KEY, expires_at=None).revoke(NOW).is_unused(NOW + 2 * HOUR, HOUR)
