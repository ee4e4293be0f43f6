import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from domain.takeover.settings import Place, converted, escaped_url
from domain.takeover.traps import TRAPS
from entrypoints.settings.loading import load_settings

NOWHERE = Place()
SAMPLE = {
    "HOST": "0.0.0.0",
    "PORT": "8080",
    "DATABASE_URL": "postgres://postgres:postgres@postgres:5432/lambda_microservice",
    "REDIS_URL": "redis://redis:6379",
    "REDIS_CACHE_URL": "redis://redis:6379",
    "SESSION_EXPIRY_SECONDS": "3600",
    "NODEJS_RUNTIME_URL": "http://nodejs-runtime:8080",
    "PYTHON_RUNTIME_URL": "http://python-runtime:8080",
    "RUST_RUNTIME_URL": "http://rust-runtime:8080",
    "RUNTIME_TIMEOUT_SECONDS": "30",
    "RUNTIME_FALLBACK_TIMEOUT_SECONDS": "15",
    "RUNTIME_MAX_RETRIES": "3",
    "MAX_SCRIPT_SIZE": "1048576",
    "WASM_COMPILE_TIMEOUT_SECONDS": "60",
    "OPENFAAS_GATEWAY_URL": "http://gateway:8080",
    "RUNTIME_SELECTION_STRATEGY": "PrefixMatching",
    "CACHE_TTL_SECONDS": "3600",
    "KUBERNETES_NAMESPACE": "lambda-microservice",
}
"""The variables of the origin as its samples have them."""


def settings(**changes: str) -> dict[str, str]:
    return dict(converted({**SAMPLE, **changes}, NOWHERE).settings)


def faults(**changes: str) -> dict[str, str]:
    return {each.variable: each.words for each in converted({**SAMPLE, **changes}, NOWHERE).faults}


def test_the_sample_of_the_origin_becomes_settings_of_this_service():
    assert settings(NODE_ENV="development", LOG_LEVEL="INFO") == {
        "HOST": "0.0.0.0",
        "PORT": "9080",
        "ORIGIN_PORT": "8080",
        "AUTH": "none",
        "CORS_ORIGINS": "*",
        "TAKEOVER_SOURCE_URL": "postgresql://postgres:postgres@postgres:5432/lambda_microservice",
        "SESSION_EXPIRY_SECONDS": "3600",
        "SCRIPT_TIMEOUT_MS": "30000",
        "MAX_SCRIPT_SIZE": "1048576",
        "MAX_CONTEXT_SIZE": "2097152",
        "MAX_PARAMS_SIZE": "2097152",
        "MAX_RESULT_SIZE": "67108864",
        "LOG_LEVEL": "info",
        "SCRIPT_NODE_ENV": "development",
    }
    assert faults() == {}


def test_each_variable_of_the_origin_has_a_remark_and_others_are_named():
    found = converted({**SAMPLE, "PATH": "/bin", "PORT": ""}, NOWHERE)
    assert {each.variable for each in found.remarks} == SAMPLE.keys() - {"PORT"}
    assert all(each.words == TRAPS[each.variable] for each in found.remarks)
    assert found.foreign == ["PATH"]


def test_nothing_but_the_origin_decides_where_its_parts_will_be():
    place = Place(port=9999, origin_url="http://controller:8080", mappings="/etc/mappings.json")
    found = converted(SAMPLE, place).settings
    assert (found["PORT"], found["ORIGIN_URL"]) == ("9999", "http://controller:8080")
    assert found["RUNTIME_MAPPINGS_FILE"] == "/etc/mappings.json"


def test_the_redis_counts_only_for_an_origin_that_keeps_sessions_there():
    assert "TAKEOVER_REDIS_URL" not in settings()
    assert converted(SAMPLE, Place(has_redis=True)).settings["TAKEOVER_REDIS_URL"] == "redis://redis:6379"


def test_an_origin_without_variables_has_the_settings_of_its_defaults():
    found = converted({}, Place(has_redis=True)).settings
    assert (found["HOST"], found["ORIGIN_PORT"], found["SCRIPT_TIMEOUT_MS"]) == ("0.0.0.0", "8080", "30000")
    assert not {"TAKEOVER_SOURCE_URL", "TAKEOVER_REDIS_URL"} & found.keys()


def test_secrets_are_masked():
    found = converted(SAMPLE, Place(has_redis=True))
    assert found.masked["TAKEOVER_SOURCE_URL"] == found.masked["TAKEOVER_REDIS_URL"] == "********"
    assert found.masked["PORT"] == "9080"
    assert "postgres" not in repr(found)


def test_the_path_of_a_secret_is_kept_if_there_is_no_url():
    old = {"DATABASE_URL": "", "REDIS_URL": "", "DATABASE_URL_FILE": "/run/db", "REDIS_URL_FILE": "/run/redis"}
    found = converted({**SAMPLE, **old}, Place(has_redis=True)).settings
    assert (found["TAKEOVER_SOURCE_URL_FILE"], found["TAKEOVER_REDIS_URL_FILE"]) == ("/run/db", "/run/redis")
    assert "TAKEOVER_SOURCE_URL" not in found


def test_of_a_url_and_its_file_the_url_counts_as_it_does_at_the_origin():
    found = settings(DATABASE_URL_FILE="/run/db")
    assert "TAKEOVER_SOURCE_URL_FILE" not in found


def test_a_url_that_the_origin_cannot_use_is_kept_and_told():
    url = "postgres://user:p@ss@host/db"
    assert settings(DATABASE_URL=url)["TAKEOVER_SOURCE_URL"] == url
    assert "cannot use this URL" in faults(DATABASE_URL=url)["DATABASE_URL"]


@pytest.mark.parametrize(
    ("url", "escaped"),
    [
        ("postgres://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql://u:p%40x@h:1/d", "postgresql://u:p%2540x@h:1/d"),
        ("postgres://u:p@h:1/d?sslmode=require", "postgresql://u:p@h:1/d%3Fsslmode%3Drequire"),
        ("mysql://u:p@h/d", None),
        ("postgres://u@h/d", None),
        ("postgres://u:p:q@h/d", None),
        ("postgres://u:p@h:x/d", None),
        ("postgres://u:p@h:1:2/d", None),
        ("postgres://u:p@h", None),
        ("postgres://h/d", None),
        ("nothing", None),
    ],
)
def test_a_url_is_escaped_so_that_it_means_what_it_means_to_the_origin(url: str, escaped: str | None):
    assert escaped_url(url) == escaped


PARTS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":@/"), min_size=1, max_size=20)


@given(PARTS, PARTS, PARTS)
def test_an_escaped_url_has_the_parts_that_the_origin_takes(user: str, password: str, name: str):
    found = conninfo_to_dict(escaped_url(f"postgres://{user}:{password}@host:5432/{name}") or "")
    assert (found["user"], found["password"], found["dbname"]) == (user, password, name)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SESSION_EXPIRY_SECONDS", "2592001", {"SESSION_EXPIRY_SECONDS": "2592001", "SESSION_MAX_LIFETIME_SECONDS": "2592001"}),
        ("SESSION_EXPIRY_SECONDS", "99999999", {"SESSION_EXPIRY_SECONDS": "31622400"}),
        ("RUNTIME_TIMEOUT_SECONDS", "90", {"SCRIPT_TIMEOUT_MS": "90000", "SCRIPT_TIMEOUT_MAX_MS": "90000"}),
        ("RUNTIME_TIMEOUT_SECONDS", "", {"SCRIPT_TIMEOUT_MS": "30000"}),
        ("MAX_SCRIPT_SIZE", "99999999", {"MAX_SCRIPT_SIZE": "67108864"}),
        ("PORT", "65000", {"PORT": "64000", "ORIGIN_PORT": "65000"}),
        ("PORT", "x", {"PORT": "9080", "ORIGIN_PORT": "8080"}),
        ("METRICS_PORT", "9090", {"METRICS_PORT": "9090"}),
        ("LOG_LEVEL", "WARN", {"LOG_LEVEL": "warning"}),
        ("LOG_LEVEL", "loud", {"LOG_LEVEL": "info"}),
    ],
)  # fmt: skip
def test_values_are_converted_within_the_limits_of_this_service(name: str, value: str, expected: dict[str, str]):
    found = settings(**{name: value})
    assert {each: found[each] for each in expected} == expected
    load_settings({**found, "DATA_DIR": "/nowhere", "DATABASE_URL": "postgresql:///x"})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SESSION_EXPIRY_SECONDS", "an hour", "no whole number"),
        ("SESSION_EXPIRY_SECONDS", "99999999", "outside 1 to 31,622,400"),
        ("MAX_SCRIPT_SIZE", "0", "outside"),
        ("PORT", "70000", "outside"),
        ("LOG_LEVEL", "loud", "not known"),
        ("METRICS_PORT", "9080", "another listener's port"),
    ],
)
def test_a_value_that_does_not_fit_is_told(name: str, value: str, words: str):
    assert words in faults(**{name: value})[name]


def test_the_own_port_must_differ():
    found = converted(SAMPLE, Place(port=8080))
    assert ["--port must be another one" in each.words for each in found.faults] == [True]


@pytest.mark.parametrize("value", ["", "with space", "x" * 65])
def test_a_node_env_that_is_no_name_is_left_out(value: str):
    assert "SCRIPT_NODE_ENV" not in settings(NODE_ENV=value)


@pytest.mark.parametrize(
    ("strategy", "path"), [("config", "/config/m.json"), ("PrefixMatching", None), ("ConfigurationBased", None)]
)
def test_the_mapping_file_counts_only_where_the_origin_reads_it(strategy: str, path: str | None):
    old = {**SAMPLE, "RUNTIME_SELECTION_STRATEGY": strategy, "RUNTIME_MAPPINGS_FILE": "/config/m.json"}
    assert converted(old, NOWHERE).mappings == path
