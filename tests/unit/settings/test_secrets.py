"""The keys of secrets: lists of them, and what is wrong with one."""

import base64

import pytest

from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.secrets import secret_keys, secret_policy

FIRST, SECOND = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def loaded(**given):
    return load_settings({"DATABASE_URL": "postgresql://somewhere/pglambda", **given})


@pytest.mark.parametrize("text", [f"{FIRST},{SECOND}", f"\n {FIRST} \n\n{SECOND}\n"])
def test_keys_stand_in_lines_or_behind_commas(text):
    settings = loaded(SECRETS_KEY=text, MAX_SECRETS_PER_OWNER="7")
    assert secret_keys(settings) == [b"\1" * 32, b"\2" * 32]
    assert secret_policy(settings).owner_max == 7
    assert FIRST not in repr(settings)


def test_without_the_setting_there_is_no_key():
    assert secret_keys(loaded()) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ,\n", "SECRETS_KEY: it has no key"),
        (f"{FIRST},{FIRST}", "SECRETS_KEY: it has a key twice"),
        (f"{FIRST},!", "SECRETS_KEY: key 2 is not the base64 of 32 bytes"),
        (base64.b64encode(b"short").decode(), "SECRETS_KEY: key 1 is not the base64 of 32 bytes"),
    ],
)
def test_a_list_of_keys_that_is_wrong_says_why_and_shows_nothing(text, why):
    with pytest.raises(SettingsError) as caught:
        loaded(SECRETS_KEY=text)
    assert why in str(caught.value)
    assert FIRST not in str(caught.value)
