"""The values that executions get: how long they are kept, who gets them, and how uses are counted."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from adapters.aes_gcm_sealer import AesGcmSealer
from domain.errors import StorageUnavailable
from domain.grants.grants import Grants
from domain.grants.ports import Pin
from domain.grants.secrets import SecretsGrant
from domain.scripts.language import LanguageTitle
from domain.secrets.ceiling import SecretCeiling
from domain.secrets.secret import SecretNotAllowed, SecretNotFound, SecretRef, SecretsUnavailable
from domain.secrets.service import FunctionName
from entrypoints.http.endpoints.secret_health import SecretHealth
from tests.support.waiting import until
from tests.unit.secrets.builders import ALICE, BOB, SECOND, TOKEN, VALUE, World

NAMES = ("TOKEN",)


async def test_an_execution_gets_values_and_versions_of_its_owner():
    world = World()
    values = world.values()
    await world.put(value="former-value")
    await world.put()
    given = await values.give(ALICE, NAMES, None)
    assert (given.values, given.versions) == ({"TOKEN": VALUE}, {"TOKEN": 2})
    assert given.redaction.text(f"<{VALUE}>") == ("<[secret TOKEN]>", 1)
    assert VALUE not in repr(given)
    with pytest.raises(SecretNotFound):
        await values.give(BOB, NAMES, None)


async def test_values_are_read_once_in_five_seconds():
    world = World()
    values = world.values()
    await world.put()
    await values.give(ALICE, NAMES, None)
    await world.put(value="another-value")
    world.secrets.reads = 0
    world.clock.advance(timedelta(seconds=4.9))
    assert (await values.give(ALICE, NAMES, None)).values == {"TOKEN": VALUE}
    assert world.secrets.reads == 0
    world.clock.advance(timedelta(seconds=0.1))
    assert (await values.give(ALICE, NAMES, None)).values == {"TOKEN": "another-value"}
    assert world.secrets.reads == 1


async def test_a_removed_secret_is_refused_after_five_seconds():
    world = World()
    values = world.values()
    await world.put()
    await values.give(ALICE, NAMES, None)
    await world.service.remove(TOKEN, world.act().actor)
    world.clock.advance(timedelta(seconds=5))
    with pytest.raises(SecretNotFound):
        await values.give(ALICE, NAMES, None)
    assert (values.stats.given, values.stats.refused) == (1, {"SECRET_NOT_FOUND": 1})


async def test_a_secret_is_for_sessions_of_its_functions_only():
    world, title = World(), LanguageTitle.of("python-adder")
    function = await world.register(title)
    other = UUID(int=9)
    await world.put(functions=(FunctionName(ALICE, title, 1),))
    values = world.values()
    assert await values.give(ALICE, NAMES, Pin(function.function_id, 1))
    for pin in (None, Pin(other, 1), Pin(function.function_id, 2)):
        with pytest.raises(SecretNotAllowed) as caught:
            await values.give(ALICE, NAMES, pin)
        assert caught.value.details == {"secret": "TOKEN", "functions": ["alice/python-adder@1"]}
    await world.put(SecretRef(ALICE, "ANY"), functions=(FunctionName(ALICE, title),))
    assert await values.give(ALICE, ("ANY",), Pin(function.function_id, 2))
    await world.put(SecretRef(ALICE, "NONE"), functions=())
    with pytest.raises(SecretNotAllowed, match="limited to sessions of no function"):
        await values.give(ALICE, ("NONE",), Pin(function.function_id, 1))


async def test_a_secret_does_not_open_without_its_key():
    world = World()
    await world.put()
    for sealer in (None, AesGcmSealer.of([SECOND])):
        world.sealer = sealer
        with pytest.raises(SecretsUnavailable) as caught:
            await world.values().give(ALICE, NAMES, None)
        assert caught.value.details.get("secret") == (sealer and "TOKEN")


async def test_a_row_that_was_copied_to_another_owner_does_not_open():
    world = World()
    await world.put()
    row = world.secrets.rows[TOKEN]
    copied = SecretRef(BOB, "TOKEN")
    world.secrets.rows[copied] = evolve(row, secret=evolve(row.secret, ref=copied))
    with pytest.raises(SecretsUnavailable, match="does not belong to this owner"):
        await world.values().give(BOB, NAMES, None)


async def test_initialize_is_judged_without_a_use():
    world = World()
    await world.put()
    values = world.values()
    ceiling, grants = SecretCeiling(values), Grants(secrets=SecretsGrant(NAMES))
    assert await ceiling.judge(ALICE, grants) == grants
    assert values.debug_snapshot() == {"kept": 1, "unrecorded": 0}
    with pytest.raises(SecretNotFound):
        await ceiling.judge(BOB, grants)
    assert await ceiling.judge(BOB, Grants()) == Grants()


async def test_uses_are_recorded_together():
    world = World()
    await world.put()
    values = world.values()
    for _ in range(3):
        await values.give(ALICE, NAMES, None)
    assert values.debug_snapshot() == {"kept": 1, "unrecorded": 3}
    await values.record_uses()
    known = await world.service.get(TOKEN)
    assert (known.uses, known.last_used_at) == (3, world.clock.now())
    world.secrets.failure = StorageUnavailable()
    await values.close()


async def test_values_are_forgotten_and_uses_recorded_in_the_background():
    world = World()
    await world.put()
    values = world.values()
    running = asyncio.ensure_future(values.run())
    await values.give(ALICE, NAMES, None)
    world.clock.advance(timedelta(seconds=5))
    await until(lambda: values.debug_snapshot() == {"kept": 0, "unrecorded": 0})
    running.cancel()
    assert (await world.service.get(TOKEN)).uses == 1


async def test_values_that_are_still_kept_are_looked_at_again():
    world = World()
    await world.put()
    values = world.values()
    running = asyncio.ensure_future(values.run())
    await values.give(ALICE, NAMES, None)
    await until(lambda: values.debug_snapshot() == {"kept": 1, "unrecorded": 0})
    running.cancel()
    assert (await world.service.get(TOKEN)).uses == 1


async def test_values_take_bounded_memory():
    world = World()
    names = [f"KEY_{n}" for n in range(48)]
    for name in names:
        await world.put(SecretRef(ALICE, name), "x" * 65_536)
    values = world.values()
    for name in names:
        await values.require(ALICE, (name,), None)
    assert 40 <= values.debug_snapshot()["kept"] < len(names)
    for _ in range(len(names)):  # what is forgotten takes none
        world.clock.advance(timedelta(seconds=5))
        await values.require(ALICE, (names[0],), None)
    for name in names[:40]:
        await values.require(ALICE, (name,), None)
    assert values.debug_snapshot()["kept"] == 40


async def test_health_shows_the_keys_and_for_ten_minutes_why_a_secret_did_not_open():
    world = World()
    values = world.values()
    health = SecretHealth(values, ("a", "b"))
    assert await health.probe() == {"status": "ok", "key_ids": ["a", "b"]}
    with pytest.raises(SecretNotFound):
        await values.give(ALICE, NAMES, None)
    assert (await health.probe())["status"] == "ok"
    world.sealer = AesGcmSealer.of([SECOND])
    await world.put()
    with pytest.raises(SecretsUnavailable):
        await values.give(ALICE, NAMES, None)
    facts = await health.probe()
    assert (facts["status"], "which is not set" in facts["reason"]) == ("degraded", True)
    world.clock.advance(timedelta(minutes=10))
    assert (await health.probe())["status"] == "ok"
