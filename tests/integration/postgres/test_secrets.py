"""Secrets in PostgreSQL: races, moves to another owner, purges, and what a dump shows."""

import asyncio
import subprocess
from base64 import b64encode

import psycopg
import pytest

from adapters.aes_gcm_sealer import AesGcmSealer
from adapters.embedded_postgres.programs import find_programs
from adapters.memory.sequential_ids import SequentialIds
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.functions import PostgresFunctionRepository
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger
from adapters.postgres.repositories.secrets import PostgresSecretRepository
from adapters.postgres.statements.catalogue import Statements
from domain.access.owner_move import MoveStep, OwnedData
from domain.audit import ActName
from domain.secrets.resealing import Resealing
from domain.secrets.secret import SecretRef, SecretsUnavailable
from domain.secrets.service import SecretPolicy, SecretRequest, SecretService
from domain.secrets.values import SecretValues
from tests.contracts.storage import ALICE, BOB, Storage
from tests.support.acts import OPERATOR, act

VALUE = "s3cr3t-of-alice"
SEALER = AesGcmSealer.of([bytes(range(32))])
SMALL = OwnerMoverOptions(sessions_max=2, rows_max=2)
ROWS = "SELECT coalesce(string_agg(s::text, ''), '') FROM meta.secrets AS s"


@pytest.fixture
def secrets(gateway: Gateway, statements: Statements) -> PostgresSecretRepository:
    return PostgresSecretRepository(gateway, statements.secrets)


@pytest.fixture
def service(
    gateway: Gateway, statements: Statements, storage: Storage, secrets: PostgresSecretRepository
) -> SecretService:
    functions = PostgresFunctionRepository(gateway, statements.functions)
    return SecretService(storage.clock, SequentialIds(), secrets, functions, SEALER, SecretPolicy(5.0, 5))


async def put(service: SecretService, ref: SecretRef, value: str = VALUE) -> int:
    return (await service.put(ref, SecretRequest(value), OPERATOR)).version


async def test_values_that_are_stored_at_once_are_versions_one_after_the_other(
    service: SecretService, secrets: PostgresSecretRepository
) -> None:
    ref = SecretRef(ALICE, "TOKEN")
    found = await asyncio.gather(*(put(service, ref, f"{VALUE}{number}") for number in range(5)))
    assert sorted(found) == [1, 2, 3, 4, 5]
    row = (await secrets.read([ref]))[ref]
    assert SEALER.open(ref, 5, row.sealed).startswith(VALUE)


async def test_moved_secrets_open_for_their_new_owner(
    gateway: Gateway,
    statements: Statements,
    storage: Storage,
    service: SecretService,
    secrets: PostgresSecretRepository,
) -> None:
    for name in ("A", "BOTH", "C"):
        await put(service, SecretRef(ALICE, name))
    await put(service, SecretRef(BOB, "BOTH"), "that-of-bob")
    mover = PostgresOwnerMover(gateway, statements, storage.clock, SMALL, Resealing(secrets, SEALER))
    steps = [step async for step in mover.move(ALICE, BOB, act(ActName.OWNERS_MOVE))]
    assert MoveStep(OwnedData.SECRETS, 3, 2) in steps
    given = await SecretValues(storage.clock, secrets, SEALER).give(BOB, ("A", "BOTH", "C"), None)
    assert given.values == {"A": VALUE, "BOTH": "that-of-bob", "C": VALUE}
    assert (await mover.count(ALICE))[OwnedData.SECRETS] == 1


async def test_nothing_is_moved_without_the_key_of_a_secret(
    gateway: Gateway,
    statements: Statements,
    storage: Storage,
    service: SecretService,
    secrets: PostgresSecretRepository,
) -> None:
    await put(service, SecretRef(ALICE, "TOKEN"))
    session = await storage.add(ALICE)
    mover = PostgresOwnerMover(gateway, statements, storage.clock, SMALL, Resealing(secrets, None))
    with pytest.raises(SecretsUnavailable):
        await anext(mover.move(ALICE, BOB, act(ActName.OWNERS_MOVE)))
    assert (await storage.sessions.get(session.ref)).ref == session.ref


async def test_a_purge_removes_the_secrets_of_its_owner_only(
    gateway: Gateway, statements: Statements, storage: Storage, service: SecretService
) -> None:
    for owner in (ALICE, BOB):
        for name in ("A", "B", "C"):
            await put(service, SecretRef(owner, name))
    mover = PostgresOwnerMover(gateway, statements, storage.clock)
    purger = PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, SMALL)
    steps = [step async for step in purger.purge(ALICE, act(ActName.OWNERS_PURGE)) if step.part is OwnedData.SECRETS]
    assert [step.moved for step in steps] == [2, 1]
    assert [(await purger.count(owner))[OwnedData.SECRETS] for owner in (ALICE, BOB)] == [0, 3]


async def test_a_row_that_is_copied_to_another_owner_does_not_open(
    storage: Storage, service: SecretService, secrets: PostgresSecretRepository, database_url: str
) -> None:
    await put(service, SecretRef(ALICE, "TOKEN"))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO meta.secrets (owner, name, version, key_id, nonce, sealed, created_at, author) "
            "SELECT %s, name, version, key_id, nonce, sealed, created_at, author FROM meta.secrets",
            [BOB],
        )
        assert VALUE not in str(connection.execute(ROWS).fetchone())
    with pytest.raises(SecretsUnavailable, match="does not belong to this owner"):
        await SecretValues(storage.clock, secrets, SEALER).give(BOB, ("TOKEN",), None)


async def test_a_dump_of_the_database_shows_no_value_in_any_spelling(service: SecretService, database_url: str) -> None:
    await put(service, SecretRef(ALICE, "TOKEN"))
    dump = await asyncio.to_thread(dumped, database_url)
    assert "TOKEN" in dump
    raw = VALUE.encode()
    spelled = [
        VALUE,
        VALUE[::-1],
        raw.hex(),
        *(b64encode(b"-" * edge + raw)[edge and 4 : -4].decode() for edge in range(3)),
    ]
    assert [each for each in spelled if each in dump] == []


def dumped(url: str) -> str:
    """Return the database as pg_dump writes it."""
    command = [str(find_programs().path("pg_dump")), f"--dbname={url}", "--schema=meta"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
