"""The command `takeover config`."""

import json

import pytest
from click.testing import CliRunner

from adapters.mapping_file import read_mapping
from entrypoints.cli.main import cli
from tests.unit.takeover.test_settings import SAMPLE

MAPPINGS = [
    {"pattern": "ml.", "runtime_type": "python", "is_regex": False},
    {"pattern": "wasm", "runtime_type": "rust", "is_regex": False},
]


@pytest.fixture
def env(tmp_path):
    path = tmp_path / ".env"
    path.write_text("".join(f"{name}={value}\n" for name, value in SAMPLE.items()))
    return str(path)


@pytest.fixture
def mappings(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(MAPPINGS))
    return str(path)


def run(*arguments, stdin=""):
    return CliRunner().invoke(cli, ["takeover", "config", *arguments], input=stdin)


def test_settings_come_first_and_everything_else_is_a_comment(env):
    result = run("--env", env)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "HOST=0.0.0.0"
    assert "SCRIPT_TIMEOUT_MS=30000" in lines
    assert all("=" in line for line in lines)
    assert "# RUNTIME_TIMEOUT_SECONDS" in result.stdout


def test_secrets_are_masked_unless_they_are_wanted(env):
    assert "postgres:postgres" not in run("--env", env).output
    assert "postgres:postgres@postgres" in run("--env", env, "--show-secrets").output


def test_a_file_has_the_settings_with_their_secrets_for_this_user_alone(env, tmp_path):
    path = tmp_path / "pglambda.env"
    assert run("--env", env, "--out", str(path), "--dry-run").exit_code == 0
    assert not path.exists()
    result = run("--env", env, "--out", str(path))
    assert "postgres:postgres" not in result.output
    assert "TAKEOVER_SOURCE_URL=postgresql://postgres:postgres@postgres:5432/lambda_microservice" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    again = run("--env", env, "--out", str(path))
    assert again.exit_code == 2
    assert "for --out: " in again.output
    assert "exists. Name a new file." in again.output


def test_no_file_is_written_if_one_of_them_cannot_be_made(env, mappings, tmp_path):
    there = tmp_path / "there.env"
    there.touch()
    for refused in (there, tmp_path / "nowhere" / "pglambda.env"):
        path = tmp_path / "new.json"
        result = run("--env", env, "--mappings", mappings, "--mappings-out", str(path), "--out", str(refused))
        assert (result.exit_code == 0, path.exists()) == (False, False)


def test_the_mapping_file_is_converted_to_one_that_this_service_reads(env, mappings, tmp_path):
    path = tmp_path / "new.json"
    result = run("--env", env, "--mappings", mappings, "--mappings-out", str(path), "--output", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert found["settings"]["RUNTIME_MAPPINGS_FILE"] == str(path)
    assert found["mappings_left_out"] == ["wasm"]
    assert str(read_mapping(path).resolve("a-ml.b")) == "python-a-ml.b"
    assert "# Left out, because they are for Rust:\n#   wasm" in run("--env", env, "--mappings", mappings).stdout


def test_a_mapping_file_that_the_origin_uses_must_be_named(env):
    stdin = "RUNTIME_SELECTION_STRATEGY=config\nRUNTIME_MAPPINGS_FILE=/config/m.json\nOTHER=1\n"
    result = run("--env", env, "--env", "-", stdin=stdin)
    assert result.exit_code == 1
    assert "# What does not fit\n# RUNTIME_MAPPINGS_FILE\n" in result.stdout
    assert "# Not a setting of the origin, and left out: OTHER" in result.stdout


def test_a_url_in_a_file_is_read_if_the_file_is_here(tmp_path):
    secret = tmp_path / "db_url.txt"
    secret.write_text("postgres://u:p%x@h/d\n")
    stdin = f"DATABASE_URL_FILE={secret}\n"
    assert "postgresql://u:p%25x@h/d" in run("--env", "-", "--show-secrets", stdin=stdin).stdout
    secret.unlink()
    assert f"TAKEOVER_SOURCE_URL_FILE={secret}" in run("--env", "-", stdin=stdin).stdout


def test_a_file_of_another_form_is_a_wrong_argument(tmp_path):
    path = tmp_path / "compose.yaml"
    path.write_text("services:\n  controller: {}\n")
    result = run("--env", str(path))
    assert (result.exit_code, "line 1 is not NAME=value" in result.output) == (2, True)


def test_a_file_that_is_not_utf_8_is_told_by_its_first_wrong_byte(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes("PORT=8080\nNAME=é\n".encode("latin-1"))
    result = run("--env", str(path))
    assert (result.exit_code, "it is not UTF-8 at byte 16; convert it to UTF-8" in result.output) == (2, True)


def test_an_unchanged_environment_of_the_origin_is_refused_with_the_command_that_converts_it():
    result = CliRunner().invoke(cli, ["config", "check"], env={**SAMPLE, "AUTH": ""})
    assert result.exit_code == 2
    assert "AUTH: it is not set" in result.output
    assert "RUNTIME_SELECTION_STRATEGY" in result.output
    assert "pglambda takeover config --env FILE" in result.output
