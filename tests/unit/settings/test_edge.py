"""Rates, origins, host names and proxies."""

import pytest

from domain.limits.rate import RatePolicy
from entrypoints.composition.http_options import http_options
from entrypoints.http.route import RouteClass
from entrypoints.settings.edge import ROUTE_CLASSES, allowed_hosts, rate_policies, unknown_policy
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.urls import is_loopback


def hosts_of(**variables: str) -> tuple[str, ...]:
    settings = load_settings({"AUTH": "none"} | variables)
    return allowed_hosts(settings, on_loopback=is_loopback(settings.host))


def test_rates_have_the_classes_of_the_routes():
    assert set(ROUTE_CLASSES) == {str(route_class) for route_class in RouteClass}


def test_rates_are_parsed_by_class():
    settings = load_settings({"RATE_LIMITS": "execute=100/60, functions=60/60"})
    assert rate_policies(settings.rate_limits) == (RatePolicy("execute", 100, 60), RatePolicy("functions", 60, 60))
    assert rate_policies(load_settings({}).rate_limits) == ()


def test_unknown_callers_have_a_rate_of_their_own():
    settings = load_settings({"RATE_LIMITS": "execute=100/60, unknown=10/60"})
    assert rate_policies(settings.rate_limits) == (RatePolicy("execute", 100, 60),)
    assert unknown_policy(settings.rate_limits) == RatePolicy("unknown", 10, 60)
    assert unknown_policy(()) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("execute", "'execute' is not a rate. Set it to CLASS=CALLS/SECONDS, such as execute=100/60"),
        ("execute=100", "Set it to CLASS=CALLS/SECONDS"),
        ("execute=-1/60", "Set it to CLASS=CALLS/SECONDS"),
        ("execute=100/60s", "Set it to CLASS=CALLS/SECONDS"),
        ("read=1/1", "'read=1/1' does not name a class of calls. Use one of sessions, execute, functions"),
        ("execute=0/60", "is out of range. Allow 1 to 1000000 calls in 1 to 86400 seconds"),
        ("execute=1/0", "is out of range"),
        ("execute=1000001/1", "is out of range"),
        ("execute=1/86401", "is out of range"),
        ("execute=1/1,execute=2/1", "names a class twice"),
    ],
)
def test_the_error_of_an_invalid_rate_says_what_to_set(text, reason):
    with pytest.raises(SettingsError) as error:
        load_settings({"RATE_LIMITS": text})
    (problem,) = error.value.problems
    assert problem.startswith("RATE_LIMITS: ")
    assert reason in problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://App.example.com"),
        ("CORS_ORIGINS", "https://app.example.com:port"),
        ("CORS_ORIGINS", "null"),
        ("ALLOWED_HOSTS", "api.example.com:8080"),
        ("ALLOWED_HOSTS", "https://api.example.com"),
        ("ALLOWED_HOSTS", "*.*.example.com"),
        ("ALLOWED_HOSTS", "::1"),
        ("TRUSTED_PROXIES", "proxy.example.com"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", ",".join(f"10.0.0.{i}" for i in range(65))),
    ],
)
def test_a_list_with_an_invalid_entry_is_an_error(name, text):
    with pytest.raises(SettingsError) as error:
        load_settings({name: text})
    (problem,) = error.value.problems
    assert problem.startswith(f"{name}: ")


def test_valid_lists_are_accepted():
    settings = load_settings(
        {
            "CORS_ORIGINS": "https://app.example.com,http://localhost:3000,http://[::1]:3000",
            "ALLOWED_HOSTS": "api.example.com,*.example.org,[::1],API",
            "TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.1,fd00::/8",
        }
    )
    assert http_options(settings).cors_origins == settings.cors_origins
    assert load_settings({"CORS_ORIGINS": "*"}).cors_origins == ("*",)


def test_a_server_on_loopback_accepts_the_names_of_this_machine():
    assert hosts_of() == ("localhost", "127.0.0.1", "[::1]", "127.0.0.1")
    assert "127.0.0.2" in hosts_of(HOST="127.0.0.2")
    assert hosts_of(HOST="::1")[-1] == "[::1]"


def test_a_server_on_a_network_accepts_any_name():
    assert hosts_of(HOST="0.0.0.0") == ()


def test_set_names_are_the_only_accepted_ones():
    assert hosts_of(ALLOWED_HOSTS="API.example.com") == ("api.example.com",)
    assert hosts_of(ALLOWED_HOSTS="*") == ()
    assert hosts_of(HOST="0.0.0.0", ALLOWED_HOSTS="*.example.com") == ("*.example.com",)


def test_a_large_body_waits_for_its_check_as_long_as_a_request_may_take():
    assert http_options(load_settings({"REQUEST_TIMEOUT_MS": "700"})).examination_wait_s == 0.7
