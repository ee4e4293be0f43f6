"""The settings of webhooks."""

from ipaddress import ip_network

import pytest

from domain.webhooks.address import AddressPolicy
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.webhooks import address_policy, signing_key, webhook_policy

KEY = "k" * 32


def test_without_settings_webhooks_go_to_the_public_internet_by_tls_and_there_is_no_key():
    settings = load_settings({})
    assert address_policy(settings) == AddressPolicy()
    assert signing_key(settings) is None
    assert webhook_policy(settings).owner_max == 20


def test_an_operator_can_allow_more():
    given = {
        "WEBHOOK_KEY": KEY,
        "WEBHOOK_PORTS": "443, 9000",
        "WEBHOOK_ALLOWED_NETWORKS": "10.0.0.0/8, ::1/128",
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_PROXY": "http://proxy.example:4750",
    }
    settings = load_settings(given)
    networks = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert address_policy(settings) == AddressPolicy(frozenset({443, 9000}), networks, allows_http=True)
    assert signing_key(settings) is not None
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WEBHOOK_KEY", "k" * 31),
        ("WEBHOOK_PORTS", "https"),
        ("WEBHOOK_PORTS", "0"),
        ("WEBHOOK_PORTS", "65536"),
        ("WEBHOOK_PORTS", ",".join(map(str, range(1, 66)))),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("WEBHOOK_ALLOWED_NETWORKS", "example.com"),
        ("WEBHOOK_PROXY", "proxy.example"),
        ("WEBHOOK_PROXY", "http://proxy.example:port"),
        ("MAX_WEBHOOKS_PER_OWNER", "0"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_the_setting(name, text):
    with pytest.raises(SettingsError, match=f"^{name}: |{name}"):
        load_settings({name: text})
