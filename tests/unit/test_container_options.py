"""The options that the parts get from the settings."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from domain.scripts.language import Language
from entrypoints.composition.checked_options import gateway_options
from entrypoints.composition.controller import create_controller
from entrypoints.composition.host_options import sandbox_options
from entrypoints.composition.options import (
    clock_options,
    function_options,
    key_cache_options,
    lookup_timeout_s,
    retention,
)
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from tests.unit.http.openapi.conftest import NOWHERE
from tests.unit.jwt.forge import RSA, pem


@pytest.mark.parametrize(("said", "expected"), [("", True), ("true", True), ("false", False)])
def test_what_a_pooler_cannot_bear_can_be_switched_off(said, expected):
    url = "postgresql://u@h/d"
    settings = load_settings({"DATABASE_URL": url, "DB_PREPARE": said, "DB_SERVER_TIMEOUTS": said})
    options = gateway_options(settings)
    assert (options.prepares, options.server_timeouts) == (expected, expected)


def test_the_repository_and_the_cleanup_keep_the_same_number_of_versions():
    settings = load_settings({"DATABASE_URL": "postgresql://u@h/d", "FUNCTION_VERSIONS_KEPT": "7"})
    assert (function_options(settings).versions_kept, retention(settings).versions) == (7, 7)


def test_the_connections_of_a_process_are_shared_out():
    options = gateway_options(load_settings({"DATABASE_URL": "postgresql://u@h/d", "DB_POOL_MAX": "3"}))
    assert (options.pool_size_max, options.lock_wait_pool_size_max) == (2, 1)


@pytest.mark.parametrize(("nodes", "shown"), [("", "pglambda"), ("auto", "pglambda/nodes")])
def test_servers_show_whether_a_process_finds_sessions_in_buckets(nodes, shown):
    settings = load_settings({"DATABASE_URL": "postgresql://u@h/d", "DATABASE_NODES": nodes})
    assert conninfo_to_dict(gateway_options(settings).conninfo)["fallback_application_name"] == shown


@pytest.mark.parametrize("behind", ["@[h/d", "@h/d?sslmod=require", " word@h/d"])
def test_an_invalid_address_is_reported_by_its_setting_without_the_password(behind):
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: it is not valid. ") as refusal:
        gateway_options(load_settings({"DATABASE_URL": f"postgresql://u:sesame{behind}"}))
    assert "sesame" not in str(refusal.value)


@pytest.mark.parametrize(
    ("request_ms", "lookup_s", "probe_s"),
    [("100", 0.025, 1.0), ("2000", 0.5, 1.0), ("6000", 1.5, 3.0), ("60000", 15, 5.0)],
)
def test_waits_before_a_call_begins_follow_from_the_budget_of_a_request(request_ms, lookup_s, probe_s):
    settings = load_settings({"REQUEST_TIMEOUT_MS": request_ms})
    assert key_cache_options(settings).lookup_timeout_s == lookup_timeout_s(settings) == lookup_s
    assert clock_options(settings).probe_timeout_s == probe_s


@pytest.mark.parametrize(
    ("said", "expected"),
    [({}, (512, 32)), ({"MAX_WARM_WORKERS": "8"}, (8, 32)), ({"MAX_EXECUTIONS": "64"}, (512, 64))],
)
def test_workers_that_are_kept_and_executions_that_run_at_once_are_bounded_apart(said, expected):
    options = sandbox_options(load_settings(said), (Language.PYTHON,))
    assert (options.warm_workers_max, options.running_max) == expected


@pytest.mark.parametrize(
    ("said", "expected"), [({}, "production"), ({"SCRIPT_NODE_ENV": "development"}, "development")]
)
def test_node_env_of_scripts_is_a_setting(said, expected):
    assert sandbox_options(load_settings(said), (Language.NODEJS,)).node_env == expected


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("JWT_PUBLIC_KEY", "no key", "JWT_PUBLIC_KEY: it is not a public key in PEM"),
        ("JWT_SECRET", pem(RSA), "JWT_SECRET: it is a public key"),
        ("RUNTIME_MAPPINGS_FILE", "/nonexistent.json", "RUNTIME_MAPPINGS_FILE"),
    ],
    ids=["no key", "no secret", "no file"],
)
def test_a_value_that_cannot_be_used_ends_the_start_with_its_setting(variable, value, problem):
    with pytest.raises(SettingsError, match=problem) as caught:
        create_controller(load_settings(NOWHERE | {variable: value}))
    assert variable == "RUNTIME_MAPPINGS_FILE" or value not in str(caught.value)
