"""Sessions of users whom the origin does not have are named before it refuses them."""

from uuid import UUID

import pytest

from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.takeover.unknown_users import unknown_users
from tests.contracts.storage import ALICE, BOB
from tests.unit.domain.builders import session_at
from tests.unit.takeover.world import SCRIPT, World


def world_of(*owners: Owner) -> World:
    world, now = World(), World().clock.now()
    for number, owner in enumerate(owners, start=1):
        ref = SessionRef(owner, UUID(int=number))
        world.memory.sessions[ref.session_id] = session_at(now, ref=ref, script_hash=SCRIPT.hash)
    return world


@pytest.mark.parametrize(
    ("owners", "known", "expected"),
    [
        ([], [], []),
        ([ANONYMOUS], [], []),
        ([ALICE, BOB, ANONYMOUS, ALICE], ["alice"], [(2, BOB)]),
        ([ALICE, *[ANONYMOUS] * 1000, BOB, ALICE], [], [(1, "alice"), (1002, BOB), (1003, "alice")]),
    ],
    ids=["no session", "no user", "one missing", "several pages"],
)
async def test_each_session_of_a_missing_user_is_named_with_the_user(owners, known, expected):
    world = world_of(*owners)
    world.origin.users.update(known)
    found = [each async for each in unknown_users(world.origin, world.returns, world.clock.now())]
    assert found == [(UUID(int=number), user_id) for number, user_id in expected]
