"""The command `secrets`, and what the doctor says of secrets and their keys."""

import asyncio
import base64
import json

import pytest
from click.testing import CliRunner
from dependency_injector import providers

from adapters.aes_gcm_sealer import AesGcmSealer
from domain.secrets.secret import SecretRef, key_id_of
from entrypoints.cli.doctor.report import Level
from entrypoints.cli.doctor.secrets import KeyFacts, judge_secrets, key_facts
from entrypoints.cli.main import cli
from entrypoints.settings.loading import load_settings
from tests.support.acts import act
from tests.support.commands import commands_with
from tests.unit.secrets.builders import ALICE, FIRST, SECOND, TOKEN, VALUE, World


@pytest.fixture
async def world() -> World:
    world = World()
    for ref in (TOKEN, SecretRef(ALICE, "OTHER")):
        await world.put(ref)
    world.sealer = AesGcmSealer.of([SECOND, FIRST])
    return world


def run(world: World, *arguments: str, command: str = "rotate"):
    container = commands_with(resealing=world.resealing, new_act=providers.Callable(act), stored_secrets=world.secrets)
    key = base64.b64encode(FIRST).decode()
    environment = {"DATABASE_URL": "postgresql://nobody/nothing", "SECRETS_KEY": key}
    return CliRunner().invoke(cli, ["secrets", command, *arguments], obj=container, env=environment)


def test_the_secrets_of_an_owner_are_listed_without_their_values(world):
    asyncio.run(world.put(SecretRef(ALICE, "SEALED_ANEW"), functions=()))
    listed = run(world, "alice", command="list")
    assert [line.split()[:4] for line in listed.stdout.splitlines()] == [
        ["name", "version", "functions", "uses"],
        ["OTHER", "1", "all", "0"],
        ["SEALED_ANEW", "1", "none", "0"],
        ["TOKEN", "1", "all", "0"],
    ]
    assert VALUE not in listed.output
    keys = [each["key"] for each in json.loads(run(world, "alice", "--output", "json", command="list").stdout)]
    assert keys == [key_id_of(FIRST), f"{key_id_of(SECOND)} (not set)", key_id_of(FIRST)]
    assert run(world, "bob", command="list").stdout == "bob has no secrets.\n"


def test_a_rotation_seals_by_the_first_key_and_can_be_repeated(world):
    assert run(world, "--dry-run").stdout == "Would seal 2 of 2 secrets anew.\n"
    assert world.secrets.rows[TOKEN].sealed.key_id == key_id_of(FIRST)
    assert "Sealed 2 of 2 secrets anew.\n" in run(world).stdout
    assert world.secrets.rows[TOKEN].sealed.key_id == key_id_of(SECOND)
    again = run(world, "--output", "json")
    assert (again.exit_code, json.loads(again.stdout)) == (0, {"secrets": 2, "before": 0, "after": 0})


def test_a_rotation_without_a_key_that_is_needed_changes_nothing(world):
    world.sealer = AesGcmSealer.of([SECOND])
    failed = run(world)
    assert failed.exit_code == 1
    assert f"sealed by key {key_id_of(FIRST)}, which is not set" in failed.stderr
    assert VALUE not in failed.output


def test_without_secrets_no_key_is_needed():
    assert run(World(sealer=None)).stdout == "Sealed 0 of 0 secrets anew.\n"


def seen(counts, keys):
    return [(each.level, each.seen) for each in judge_secrets(counts, keys)]


def test_the_doctor_counts_secrets_that_do_not_open_and_those_of_former_keys():
    assert seen({}, KeyFacts()) == []
    assert seen({"a": 1200}, KeyFacts(("a",))) == [(Level.OK, "1,200 secrets open")]
    assert seen({"a": 1, "b": 2, "c": 3}, KeyFacts(("a", "b"))) == [
        (Level.PROBLEM, "3 secrets were sealed by key c, which is not set"),
        (Level.NOTE, "2 secrets were sealed by a former key"),
    ]


def test_the_doctor_warns_of_a_key_that_may_be_lost_or_read():
    found = seen({"a": 1}, KeyFacts(("a",), in_data_dir_only=True, others_can_read=True))
    assert found == [
        (Level.PROBLEM, "other users can read DATA_DIR/secrets.key"),
        (Level.WARNING, "the key of 1 secrets is in DATA_DIR/secrets.key, and backups do not have it"),
    ]


def test_the_doctor_looks_at_the_file_of_the_key(tmp_path):
    key = base64.b64encode(FIRST).decode()
    environment = {"DATA_DIR": str(tmp_path), "DATABASE_URL": "postgresql://nobody/nothing", "SECRETS_KEY": key}
    settings = load_settings(environment)
    assert key_facts(settings, {}) == KeyFacts((key_id_of(FIRST),))
    file = tmp_path / "secrets.key"
    file.write_text(f"{key}\n")
    file.chmod(0o600)
    assert key_facts(settings, {}) == KeyFacts((key_id_of(FIRST),), in_data_dir_only=True)
    assert key_facts(settings, environment) == KeyFacts((key_id_of(FIRST),))
    file.chmod(0o644)
    assert key_facts(settings, environment).others_can_read
