"""The use cases of secrets: what is stored, what is refused, and that no value is shown."""

import pytest

from domain.errors import FieldTooLarge, InvalidRequest, QuotaReached, StorageUnavailable
from domain.functions.function import FunctionNotFound, FunctionVersionNotFound
from domain.identity import Owner
from domain.scripts.language import LanguageTitle
from domain.secrets.secret import SecretNotFound, SecretRef, SecretsUnavailable
from domain.secrets.service import FunctionName, SecretRequest
from tests.unit.secrets.builders import ALICE, TOKEN, VALUE, World


async def problem_of(world: World, ref: SecretRef = TOKEN, value: str = VALUE) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        await world.put(ref, value)
    (problem,) = caught.value.problems
    assert value not in str(caught.value)
    return problem.pointer, problem.message


async def test_each_value_is_the_next_version():
    world = World()
    assert ((await world.put()).version, (await world.put(value="another-one")).version) == (1, 2)
    assert await world.opened() == "another-one"


async def test_what_is_known_of_a_secret_has_no_value():
    world = World()
    stored = await world.put()
    assert await world.service.get(TOKEN) == stored
    assert await world.service.list(ALICE) == [stored]
    assert (stored.author, stored.created_at, stored.uses) == ("alice", world.clock.now(), 0)
    assert VALUE not in repr(world.secrets.rows)
    assert VALUE not in repr(SecretRequest(VALUE))


async def test_a_removed_secret_is_not_found():
    world = World()
    await world.put()
    await world.service.remove(TOKEN, world.act().actor)
    for call in (world.service.get(TOKEN), world.service.remove(TOKEN, world.act().actor)):
        with pytest.raises(SecretNotFound) as caught:
            await call
        assert caught.value.details == {"secret": "TOKEN"}


@pytest.mark.parametrize("name", ["", "lower", "1ST", "A-B", "A" * 65, "Ä"])
async def test_a_name_that_no_script_could_use_is_refused(name):
    assert (await problem_of(World(), SecretRef(ALICE, name)))[0] == "/path/secret_name"


async def test_a_value_has_a_least_and_a_greatest_size_in_bytes():
    world = World()
    pointer, message = await problem_of(world, value="äbc456")
    assert (pointer, message.partition(";")[0]) == ("/value", "has 7 bytes")
    await world.put(value="äbc4567")
    await world.put(value="x" * 65_536)
    with pytest.raises(FieldTooLarge):
        await world.put(value="x" * 65_537)


async def test_an_owner_has_at_most_so_many():
    world = World(owner_max=1)
    await world.put()
    with pytest.raises(QuotaReached):
        await world.put(SecretRef(ALICE, "OTHER"))


async def test_without_a_key_nothing_is_stored_and_no_secret_opens():
    world = World()
    stored = await world.put()
    assert world.service.is_openable(stored)
    world.sealer = None
    assert not world.service.is_openable(stored)
    with pytest.raises(SecretsUnavailable, match="no SECRETS_KEY is set"):
        await world.put()


async def test_a_database_that_does_not_respond_is_reported():
    world = World()
    world.secrets.failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await world.put()


async def test_functions_are_known_by_their_ids():
    world, title = World(), LanguageTitle.of("python-adder")
    function = await world.register(title)
    names = (FunctionName(ALICE, title), FunctionName(ALICE, title, 1))
    stored = await world.put(functions=names)
    assert [str(each) for each in stored.functions] == ["alice/python-adder", "alice/python-adder@1"]
    assert {each.function_id for each in stored.functions} == {function.function_id}


async def test_a_function_that_is_not_there_is_refused():
    world, title = World(), LanguageTitle.of("python-adder")
    with pytest.raises(FunctionNotFound):
        await world.put(functions=(FunctionName(ALICE, title),))
    await world.register(title)
    with pytest.raises(FunctionVersionNotFound):
        await world.put(functions=(FunctionName(ALICE, title, 2),))
    with pytest.raises(FunctionNotFound):
        await world.put(functions=(FunctionName(Owner("bob"), title),))
    assert world.secrets.rows == {}
