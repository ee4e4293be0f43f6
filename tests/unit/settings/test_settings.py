"""Settings: read from the environment, checked and listed."""

import sys

import pytest

from entrypoints.settings.checks import RUNTIME_HOST_CHECKS
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.listing import setting_document, setting_lines
from entrypoints.settings.loading import load_settings
from entrypoints.settings.near_names import NearName, near_names, origin_names
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings

HUSH = "postgresql://u:hush@db/x"
SECRET = "s" * 32


def problems(**environ):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_without_variables_every_setting_has_its_default():
    settings = load_settings({})
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.embedded
    assert settings.auto_migrate


def test_unknown_and_empty_variables_do_not_count():
    assert load_settings({"NONSENSE": "1", "PORT": "", "RUNTIME_TOKEN": ""}) == load_settings({})


@pytest.mark.parametrize(
    ("variable", "setting"),
    [
        ("SCRIPT_TIMEOUT", "SCRIPT_TIMEOUT_MS"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("JWT_SECRETS_FILE", "JWT_SECRET_FILE"),
        ("PGLAMBDA_PORT", "PORT"),
    ],
)
def test_a_variable_that_nearly_has_the_name_of_a_setting_is_found(variable, setting):
    assert list(near_names({variable: "1", "PORT": "1"})) == [NearName(variable, setting)]


def test_variables_of_other_programs_are_not_taken_for_settings():
    others = "PATH HOSTNAME HISTSIZE HISTFILE PGHOST PGPORT PGDATA LANG NODE_PATH NODE_OPTIONS LOGNAME SHELL USER TERM"
    ours = (
        "PGLAMBDA_TOKEN PGLAMBDA_TEST_DATABASE_URL PYTHONPATH OTEL_TRACES_SAMPLER XDG_DATA_HOME DATABASE_URL_FILE PORT"
    )
    assert list(near_names(dict.fromkeys(f"{others} {ours}".split(), "1"))) == []


def test_settings_of_the_origin_are_told_from_others():
    assert origin_names({"RUST_RUNTIME_URL": "http://x", "PORT": "1", "RUNTIME_MAX_RETRIES": "3"}) == [
        "RUNTIME_MAX_RETRIES",
        "RUST_RUNTIME_URL",
    ]
    assert origin_names({"PORT": "1", "REDIS_URL": "redis://x", "NODE_ENV": "x"}) == []


def test_texts_become_values_of_the_type_of_their_setting():
    settings = load_settings(
        {
            "PORT": " 9000 ",
            "AUTO_MIGRATE": "false",
            "ISOLATION": "process",
            "DRAIN_DELAY_SECONDS": "1.5",
            "NODEJS_RUNTIME_URL": "http://localhost:1, unix:/run/x,",
            "SANDBOX_UID": "700",
        }
    )
    assert settings.port == 9000
    assert settings.auto_migrate is False
    assert settings.isolation == "process"
    assert settings.drain_delay_seconds == 1.5
    assert settings.nodejs_runtime_url == ("http://localhost:1", "unix:/run/x")
    assert settings.sandbox_uid == 700


def test_a_database_of_its_own_url_is_migrated_only_if_auto_migrate_is_set():
    assert load_settings({"DATABASE_URL": HUSH}).auto_migrate is False
    assert load_settings({"DATABASE_URL": HUSH, "AUTO_MIGRATE": "1"}).auto_migrate is True


def test_all_wrong_settings_are_reported_together_by_name():
    found = problems(PORT="99999", WEB_CONCURRENCY="many", LOG_LEVEL="loud")
    assert [problem.partition(":")[0] for problem in found] == ["PORT", "WEB_CONCURRENCY", "LOG_LEVEL"]
    assert "'99999'" in found[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "-1"),
        ("PORT", "8080.5"),
        ("DRAIN_DELAY_SECONDS", "nan"),
        ("DRAIN_DELAY_SECONDS", "inf"),
        ("HISTORY_RETENTION_DAYS", "31"),
        ("DB_POOL_MAX", "1"),
        ("REQUEST_TIMEOUT_MS", "99"),
        ("MAX_SCRIPT_SIZE", "0"),
        ("SANDBOX_UID", "0"),
        ("AUTO_MIGRATE", "perhaps"),
        ("AUTH", "perhaps"),
        ("SESSION_EXPIRY_SECONDS", "31622401"),
    ],
)
def test_a_value_out_of_range_is_an_error(name, value):
    (problem,) = problems(**{name: value})
    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "choices"),
    [("LOG_LEVEL", "debug, info, warning, error"), ("ISOLATION", "session, process"), ("AUTH", "none, required")],
)
def test_the_error_of_an_unknown_choice_lists_the_choices(name, choices):
    (problem,) = problems(**{name: "loud"})
    assert problem == f"{name}: 'loud' is not valid. Set it to one of {choices}, or unset it."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PORT", "a whole number from 0 to 65535"),
        ("MAX_EXECUTIONS_PER_OWNER", "a whole number from 1 to 4096"),
        ("DRAIN_DELAY_SECONDS", "a number from 0 to 3600"),
        ("STORAGE_MAX_GB", "a number above 0 up to 1048576"),
        ("DB_PREPARE", "true or false"),
    ],
)
def test_the_error_of_an_invalid_value_says_what_to_set(name, expected):
    assert problems(**{name: "x"}) == (f"{name}: 'x' is not valid. Set it to {expected}, or unset it.",)


def test_a_host_name_has_a_limited_length():
    (problem,) = problems(HOST="x" * 254)
    assert problem.endswith("Set it to a text of 1 to 253 characters, or unset it.")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"SCRIPT_TIMEOUT_MS": "2000", "SCRIPT_TIMEOUT_MAX_MS": "1999"}, "SCRIPT_TIMEOUT_MS"),
        ({"SCRIPT_MEMORY_MB": "200", "SCRIPT_MEMORY_MAX_MB": "199"}, "SCRIPT_MEMORY_MB"),
        ({"SESSION_EXPIRY_SECONDS": "61", "SESSION_MAX_LIFETIME_SECONDS": "60"}, "SESSION_EXPIRY_SECONDS"),
        ({"SESSION_RETENTION_SECONDS": "124"}, "SESSION_RETENTION_SECONDS"),
        ({"DB_POOL_MAX": "200", "WEB_CONCURRENCY": "6"}, "DB_POOL_MAX"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"HOST": "0.0.0.0"}, "AUTH"),
        ({"HOST": "example.org"}, "AUTH"),
        ({"AUTH": "none", "JWT_SECRET": SECRET}, "AUTH"),
        ({"JWT_SECRET": "x" * 31}, "JWT_SECRET"),
        ({"JWT_JWKS_URL": "http://10.0.0.1/keys"}, "JWT_JWKS_URL"),
        ({"JWT_JWKS_URL": "ftp://localhost/keys"}, "JWT_JWKS_URL"),
        ({"JWT_JWKS_URL": "https:///keys"}, "JWT_JWKS_URL"),
        ({"JWT_ISSUER": "https://issuer"}, "JWT_ISSUER"),
        ({"JWT_AUDIENCE": "pglambda", "AUTH": "required"}, "JWT_AUDIENCE"),
        ({"NODEJS_RUNTIME_URL": "ftp://localhost"}, "NODEJS_RUNTIME_URL"),
        ({"NODEJS_RUNTIME_URL": "http://localhost:x"}, "NODEJS_RUNTIME_URL"),
        ({"NODEJS_RUNTIME_URL": "unix:relative"}, "NODEJS_RUNTIME_URL"),
        ({"PYTHON_RUNTIME_URL": ",".join(f"http://localhost:{n}" for n in range(1, 34))}, "PYTHON_RUNTIME_URL"),
        ({"PYTHON_RUNTIME_URL": "http://10.0.0.1"}, "RUNTIME_TOKEN"),
        ({"RUNTIME_MAPPINGS_FILE": "/no/such/file"}, "RUNTIME_MAPPINGS_FILE"),
        ({"WAL_ARCHIVE_DIR": "/wal", "DATABASE_URL": "postgresql://db/x"}, "WAL_ARCHIVE_DIR"),
        ({"WAL_ARCHIVE_DIR": "/data/postgres/wal", "DATA_DIR": "/data"}, "WAL_ARCHIVE_DIR"),
        ({"NODEJS_PATH": "/no/such/node"}, "NODEJS_PATH"),
        ({"PORT": "9000", "METRICS_PORT": "9000"}, "METRICS_PORT"),
        ({"ORIGIN_PORT": "9000", "METRICS_PORT": "9000"}, "METRICS_PORT"),
        ({"ORIGIN_PORT": "8080"}, "ORIGIN_PORT"),
        *(
            ({"ORIGIN_PORT": "8081", "ORIGIN_URL": url}, "ORIGIN_URL")
            for url in (
                "old:8080",
                "ftp://old",
                "http://",
                "unix:/x",
                "http://old/path",
                "http://old:8080/",
                "http://u:p@old",
                "http://old:0",
            )
        ),
        ({"ORIGIN_PORT": "8081", "ORIGIN_URL": "http://localhost:8081"}, "ORIGIN_URL"),
        ({"ORIGIN_PORT": "8081", "ORIGIN_URL": "http://127.0.0.1:8080"}, "ORIGIN_URL"),
        ({"ORIGIN_PORT": "80", "ORIGIN_URL": "http://localhost"}, "ORIGIN_URL"),
        (
            {"HOST": "10.0.0.7", "AUTH": "none", "ORIGIN_PORT": "8081", "ORIGIN_URL": "http://10.0.0.7:8081"},
            "ORIGIN_URL",
        ),
        ({"SCRIPT_CONVENTION": "event-first"}, "SCRIPT_CONVENTION"),
    ],
)
def test_contradictory_settings_are_an_error(environ, named):
    (problem,) = problems(**environ)
    assert problem.startswith(f"{named}: ")
    assert ". " in problem, "it says what is wrong, and what to do"


@pytest.mark.parametrize(
    "environ",
    [
        {"SESSION_RETENTION_SECONDS": "125"},
        {"DB_POOL_MAX": "200", "WEB_CONCURRENCY": "5"},
        {"DB_POOL_MAX": "200", "WEB_CONCURRENCY": "6", "DATABASE_URL": HUSH},
        {"HOST": "0.0.0.0", "AUTH": "none"},
        {"HOST": "0.0.0.0", "AUTH": "required"},
        {"HOST": "0.0.0.0", "JWT_SECRET": SECRET},
        {"JWT_JWKS_URL": "https://issuer.example/keys", "JWT_ISSUER": "https://issuer.example"},
        {"JWT_JWKS_URL": "http://127.0.0.1:9/keys", "JWT_AUDIENCE": "pglambda"},
        {"HOST": "::1"},
        {"HOST": "localhost"},
        {"METRICS_PORT": "9000", "TRACES": "otlp"},
        {"ORIGIN_PORT": "8081", "ORIGIN_URL": "http://127.0.0.1:8082", "ORIGIN_TIMEOUT_SECONDS": "0.5"},
        {"ORIGIN_PORT": "8081", "ORIGIN_URL": "https://[::1]"},
        {"PORT": "0", "ORIGIN_PORT": "0", "ORIGIN_LENIENT": "true", "SCRIPT_CONVENTION": "own"},
        {"PYTHON_RUNTIME_URL": "https://10.0.0.1:1", "RUNTIME_TOKEN": "t"},
    ],
)
def test_consistent_settings_are_accepted(environ):
    load_settings(environ)


@pytest.mark.parametrize(
    ("environ", "authenticated"),
    [
        ({}, False),
        ({"AUTH": "none"}, False),
        ({"AUTH": "required"}, True),
        ({"JWT_SECRET": SECRET}, True),
        ({"JWT_PUBLIC_KEY": "pem"}, True),
        ({"JWT_JWKS_URL": "https://issuer.example/keys"}, True),
    ],
)
def test_authentication_is_on_if_a_key_is_set_or_auth_is_required(environ, authenticated):
    assert load_settings(environ).authenticated is authenticated


def test_the_time_of_a_runtime_host_counts_towards_the_retention():
    far = {"RUNTIME_TIMEOUT_SECONDS": "600", "PYTHON_RUNTIME_URL": "http://localhost:1"}
    (problem,) = problems(**far, SESSION_RETENTION_SECONDS="721")
    assert "is less than 722" in problem
    load_settings({**far, "SESSION_RETENTION_SECONDS": "722"})
    load_settings({"RUNTIME_TIMEOUT_SECONDS": "600", "SESSION_RETENTION_SECONDS": "125"})


def test_a_runtime_host_off_loopback_needs_its_token():
    with pytest.raises(SettingsError, match="RUNTIME_TOKEN"):
        load_settings({"HOST": "0.0.0.0"}, RUNTIME_HOST_CHECKS)
    load_settings({"HOST": "0.0.0.0", "RUNTIME_TOKEN": "t"}, RUNTIME_HOST_CHECKS)


def test_a_secret_comes_from_a_file(tmp_path):
    (tmp_path / "url").write_text(f"{HUSH}\n")
    settings = load_settings({"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.database_url == Secret(HUSH)
    assert settings.auto_migrate is False


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"x" * 70_000])
def test_a_secret_file_without_text_is_an_error(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    (problem,) = problems(RUNTIME_TOKEN_FILE=str(tmp_path / "token"))
    assert problem.startswith("RUNTIME_TOKEN_FILE: ")


def test_a_missing_secret_file_is_an_error(tmp_path):
    (problem,) = problems(RUNTIME_TOKEN_FILE=str(tmp_path / "no"))
    assert "No such file" in problem


def test_a_secret_cannot_be_set_in_two_ways(tmp_path):
    (problem,) = problems(RUNTIME_TOKEN="hush", RUNTIME_TOKEN_FILE=str(tmp_path))
    assert "Unset one of them." in problem


def test_only_secrets_can_come_from_a_file():
    assert load_settings({"PORT_FILE": "/no/such"}).port == 8080


def test_secrets_are_never_shown(tmp_path):
    settings = load_settings({"DATABASE_URL": HUSH, "RUNTIME_TOKEN": "hush"})
    assert "hush" not in repr(settings)
    assert "hush" not in "\n".join(setting_lines(settings, describe=True))
    assert "hush" not in "".join(problems(DATABASE_URL="mysql://hush"))


def test_secrets_with_the_same_text_are_equal():
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"


def test_the_list_has_every_setting_with_its_description():
    lines = list(setting_lines(load_settings({"PYTHON_RUNTIME_URL": "unix:/a,unix:/b"}), describe=True))
    assert lines[:2] == ["# Address to listen on.", "HOST=127.0.0.1"]
    assert "PYTHON_RUNTIME_URL=unix:/a,unix:/b" in lines
    assert "AUTO_MIGRATE=true" in lines
    assert "DATABASE_URL=" in lines
    assert len(lines) == 2 * len(Settings.__struct_fields__)


def test_the_data_folder_of_root_is_the_systems_and_that_of_others_is_their_own(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert str(load_settings({}).data_dir) == "/var/lib/pglambda"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert load_settings({"XDG_DATA_HOME": str(tmp_path)}).data_dir == tmp_path / "pglambda"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings({}).data_dir == tmp_path / ".local/share/pglambda"


def test_a_relative_folder_counts_from_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings({"DATA_DIR": "here"}).data_dir == tmp_path / "here"


def test_traces_without_the_packages_that_send_them_are_an_error(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    (problem,) = problems(TRACES="otlp")
    assert (
        problem == "TRACES: otlp needs packages that are not installed. Install them with: pip install 'pglambda[otel]'"
    )


def test_a_redis_without_the_package_that_reads_it_is_an_error(monkeypatch):
    assert load_settings({"TAKEOVER_REDIS_URL": "redis://old"}).takeover_redis_url is not None
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    (problem,) = problems(TAKEOVER_REDIS_URL="redis://old")
    assert "pip install 'pglambda[takeover]'" in problem


def test_credentials_in_urls_are_masked():
    settings = load_settings(
        {
            "PYTHON_RUNTIME_URL": "http://me:hush@127.0.0.1:1,http://127.0.0.1:2/a@b",
            "JWT_JWKS_URL": "https://hush@issuer.example.com/keys",
        }
    )
    lines = list(setting_lines(settings))
    assert "PYTHON_RUNTIME_URL=http://********@127.0.0.1:1,http://127.0.0.1:2/a@b" in lines
    assert "JWT_JWKS_URL=https://********@issuer.example.com/keys" in lines
    assert setting_document(settings)["PYTHON_RUNTIME_URL"]["value"] == (
        "http://********@127.0.0.1:1",
        "http://127.0.0.1:2/a@b",
    )
