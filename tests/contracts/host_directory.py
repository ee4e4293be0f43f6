"""The contract of HostDirectory."""

import asyncio
from datetime import datetime, timedelta
from ipaddress import ip_address
from uuid import UUID, uuid4

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from domain.hosts.host import HELD_FOR, STALE_AFTER, HostConflict, HostState, RegisteredHost, TooManyHosts
from domain.hosts.ports import HostDirectory

NOW = ManualClock().now()
FULL_AT = 3
SECOND = timedelta(seconds=1)


def host(name: str = "a", boot: int = 1, at: datetime = NOW, **changed: object) -> RegisteredHost:
    known = RegisteredHost(
        name=name,
        boot_id=UUID(int=boot),
        url=f"http://{name}.example:8090",
        address=ip_address("10.0.0.7"),
        languages=("nodejs", "python"),
        runs_max=32,
        release="0.3.0",
        state=HostState.READY,
        registered_at=at,
        seen_at=at,
    )
    return evolve(known, **changed)


class HostDirectoryContract:
    """Subclasses have a fixture `directory`, an empty one of at most FULL_AT hosts."""

    @pytest.fixture
    def directory(self) -> HostDirectory:
        raise NotImplementedError

    async def test_hosts_are_returned_as_they_were_registered_by_name(self, directory):
        found = [host("b", address=ip_address("fd00::7")), host("a", languages=(), state=HostState.DRAINING)]
        for each in found:
            await directory.register(each)
        assert await directory.hosts() == found[::-1]

    async def test_texts_that_need_escapes_are_returned_as_they_were(self, directory):
        odd = host('a "b" \\ {c}', url="https://[fd00::7]:1", languages=('x"y', "z\\", "{1,2}"), release="1' --")
        await directory.register(odd)
        assert await directory.hosts() == [odd]

    async def test_a_process_that_registers_again_keeps_its_first_time_and_changes_the_rest(self, directory):
        await directory.register(host())
        again = host(
            at=NOW + SECOND, address=ip_address("10.0.0.8"), languages=("python",), runs_max=8, release="0.3.1"
        )
        await directory.register(again)
        assert await directory.hosts() == [evolve(again, registered_at=NOW)]

    @pytest.mark.parametrize(
        ("later", "late"),
        [
            (HostState.DRAINING, HostState.READY),
            (HostState.ENDED, HostState.READY),
            (HostState.ENDED, HostState.DRAINING),
        ],
    )
    async def test_a_state_that_is_over_does_not_come_back(self, directory, later, late):
        await directory.register(host(state=later))
        await directory.register(host(at=NOW + SECOND, state=late))
        assert [each.state for each in await directory.hosts()] == [later]

    async def test_a_process_passes_from_ready_to_draining_to_ended(self, directory):
        for after_s, state in enumerate(HostState):
            await directory.register(host(at=NOW + after_s * SECOND, state=state))
            assert [each.state for each in await directory.hosts()] == [state]

    async def test_the_next_process_of_a_host_takes_its_place_at_once(self, directory):
        await directory.register(host(state=HostState.ENDED))
        following = host(boot=2, at=NOW + SECOND)
        await directory.register(following)
        assert await directory.hosts() == [following]
        await directory.register(host(boot=3, at=NOW + SECOND))
        assert [each.boot_id for each in await directory.hosts()] == [UUID(int=3)]

    async def test_another_process_at_another_url_does_not_get_a_name_that_is_held(self, directory):
        await directory.register(host())
        with pytest.raises(HostConflict) as conflict:
            await directory.register(host(boot=2, at=NOW + HELD_FOR - SECOND, url="http://10.0.0.9:1"))
        assert conflict.value.details == {"name": "a", "url": "http://a.example:8090"}
        assert await directory.hosts() == [host()]

    async def test_another_process_under_another_name_does_not_get_a_url_that_is_held(self, directory):
        await directory.register(host())
        with pytest.raises(HostConflict) as conflict:
            await directory.register(host("b", boot=2, at=NOW + HELD_FOR - SECOND, url=host().url))
        assert conflict.value.details == {"name": "a", "url": "http://a.example:8090"}
        assert await directory.hosts() == [host()]

    async def test_nothing_makes_way_if_the_name_or_the_url_is_held(self, directory):
        await directory.register(host(at=NOW - STALE_AFTER))
        await directory.register(host("b", boot=2))
        with pytest.raises(HostConflict):
            await directory.register(host("a", boot=3, url=host("b").url))
        assert [each.name for each in await directory.hosts()] == ["a", "b"]

    async def test_of_two_that_are_held_the_first_by_name_is_reported(self, directory):
        for boot, name in enumerate("cb", start=1):
            await directory.register(host(name, boot))
        with pytest.raises(HostConflict) as conflict:
            await directory.register(host("c", boot=3, url=host("b").url))
        assert conflict.value.name == "b"

    @pytest.mark.parametrize(
        ("silent_for", "state"), [(HELD_FOR, HostState.READY), (SECOND, HostState.ENDED)], ids=["silent", "ended"]
    )
    async def test_a_host_that_is_silent_or_has_ended_makes_way_with_its_name_and_its_url(
        self, directory, silent_for, state
    ):
        await directory.register(host("a", 1, state=state))
        await directory.register(host("b", 2, state=state))
        taking = host("a", boot=3, at=NOW + silent_for, url=host("b").url)
        await directory.register(taking)
        assert await directory.hosts() == [taking]

    async def test_a_process_may_change_its_name_and_its_url(self, directory):
        await directory.register(host())
        renamed = host("b", at=NOW + SECOND, url=host().url)
        await directory.register(renamed)
        assert await directory.hosts() == [renamed]
        moved = host("b", at=NOW + SECOND, url="http://10.0.0.9:1")
        await directory.register(moved)
        assert await directory.hosts() == [moved]

    async def test_a_directory_full_of_live_hosts_takes_no_other(self, directory):
        for boot, name in enumerate("abc", start=1):
            await directory.register(host(name, boot, at=NOW + boot * SECOND))
        with pytest.raises(TooManyHosts):
            await directory.register(host("d", 4, at=NOW + STALE_AFTER))
        assert [each.name for each in await directory.hosts()] == ["a", "b", "c"]
        await directory.register(host("b", 2, at=NOW + STALE_AFTER))
        await directory.register(host("c", 4, at=NOW + STALE_AFTER))

    async def test_a_full_directory_forgets_the_host_that_was_silent_for_longest(self, directory):
        await directory.register(host("a", 1, at=NOW - STALE_AFTER + SECOND))
        await directory.register(host("b", 2, at=NOW - STALE_AFTER))
        await directory.register(host("c", 3, at=NOW - STALE_AFTER))
        await directory.register(host("c", 3, at=NOW - STALE_AFTER + SECOND))
        await directory.register(host("d", 4, at=NOW))
        assert [each.name for each in await directory.hosts()] == ["a", "c", "d"]

    async def test_a_full_directory_forgets_a_host_that_has_ended(self, directory):
        for boot, (name, state) in enumerate(zip("abc", HostState, strict=True), start=1):
            await directory.register(host(name, boot, state=state))
        await directory.register(host("d", 4))
        assert [each.name for each in await directory.hosts()] == ["a", "b", "d"]

    async def test_of_processes_that_take_a_name_or_a_url_at_once_one_gets_it(self, directory):
        names = [host("a", uuid4().int, url=f"http://10.0.0.{n}:1") for n in range(6)]
        urls = [host(f"b{n}", uuid4().int, url="http://10.0.1.1:1") for n in range(6)]
        results = await asyncio.gather(*map(directory.register, [*names, *urls]), return_exceptions=True)
        assert [type(result) for result in results if result is not None] == [HostConflict] * 10
        assert len(await directory.hosts()) == 2
