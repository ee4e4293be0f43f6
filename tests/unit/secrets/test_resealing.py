"""Sealing anew: by another key, and for another owner."""

import pytest

from adapters.aes_gcm_sealer import AesGcmSealer
from domain.audit import ActName
from domain.secrets.secret import SecretRef, SecretsUnavailable
from tests.unit.secrets.builders import ALICE, BOB, FIRST, SECOND, TOKEN, VALUE, World


async def many(world: World, count: int) -> list[SecretRef]:
    refs = [SecretRef(ALICE, f"KEY_{n:03}") for n in range(count)]
    for ref in refs:
        await world.put(ref, f"{VALUE}{ref.name}")
    return refs


async def test_a_rotation_seals_everything_by_the_first_key_in_steps():
    world = World(owner_max=1000)
    refs = await many(world, 150)
    world.sealer = AesGcmSealer.of([SECOND, FIRST])
    assert await world.resealing.outdated() == 150
    steps = [step async for step in world.resealing.rotate(world.act())]
    assert [(step.examined, step.changed) for step in steps] == [(100, 100), (50, 50)]
    assert await world.resealing.outdated() == 0
    world.sealer = AesGcmSealer.of([SECOND])
    assert [await world.opened(ref) for ref in refs] == [f"{VALUE}{ref.name}" for ref in refs]
    assert [step async for step in world.resealing.rotate(world.act())] == []


async def test_a_rotation_that_stops_is_continued_by_the_next_one():
    world = World(owner_max=1000)
    await many(world, 150)
    world.sealer = AesGcmSealer.of([SECOND, FIRST])
    steps = world.resealing.rotate(world.act())
    await anext(steps)
    await steps.aclose()
    assert await world.resealing.outdated() == 50
    assert [step.changed async for step in world.resealing.rotate(world.act())] == [50]


async def test_nothing_is_sealed_anew_unless_all_keys_are_set():
    world = World()
    await world.put()
    world.sealer = AesGcmSealer.of([SECOND])
    await world.put(SecretRef(ALICE, "OTHER"))
    before = dict(world.secrets.rows)
    for sealer in (AesGcmSealer.of([SECOND]), None):
        world.sealer = sealer
        for steps in (
            world.resealing.rotate(world.act()),
            world.resealing.move(ALICE, BOB, world.act(ActName.OWNERS_MOVE)),
        ):
            with pytest.raises(SecretsUnavailable):
                await anext(steps)
    assert world.secrets.rows == before


async def test_without_secrets_no_key_is_needed():
    world = World(sealer=None)
    await world.resealing.require_keys()
    assert await world.resealing.count() == 0
    assert [step async for step in world.resealing.move(ALICE, BOB, world.act(ActName.OWNERS_MOVE))] == []
    with pytest.raises(SecretsUnavailable):
        await world.resealing.outdated()


async def test_moved_secrets_open_for_their_new_owner_only():
    world = World()
    await world.put()
    await world.put(SecretRef(ALICE, "BOTH"))
    await world.put(SecretRef(BOB, "BOTH"), "that-of-bob")
    steps = [step async for step in world.resealing.move(ALICE, BOB, world.act(ActName.OWNERS_MOVE))]
    assert [(step.examined, step.changed) for step in steps] == [(2, 1)]
    assert await world.opened(SecretRef(BOB, "TOKEN")) == VALUE
    assert await world.opened(SecretRef(BOB, "BOTH")) == "that-of-bob"
    assert TOKEN not in world.secrets.rows
    assert await world.resealing.count(ALICE) == 1
