"""Names are resolved and judged as a whole."""

import asyncio
from ipaddress import ip_address, ip_network

import pytest

from adapters.egress.resolution import (
    LOOKUPS_MAX,
    OWNER_LOOKUPS_MAX,
    AddressJudge,
    KnownAddresses,
    LookupTurns,
    Refused,
)
from domain.egress.policy import AddressRules
from domain.egress.traffic import RefusalReason


class Names:
    """Answers of a resolver, the last of which is repeated; an exception is raised."""

    def __init__(self, **answers):
        self.answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append(host)
        answers = self.answers[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def judge_of(names, guarded=(), own=(), **rules):
    return AddressJudge(AddressRules(**rules), guarded, names, lambda address: str(address) in own)


async def reason_of(judge, host="a.test"):
    with pytest.raises(Refused) as refused:
        await judge.addresses(host, 443, KnownAddresses())
    return refused.value.reason


async def test_the_addresses_of_a_public_name_are_returned():
    judge = judge_of(Names(a_test=[["8.8.8.8", "2606:4700::1111"]]))
    found = await judge.addresses("a.test", 443, KnownAddresses())
    assert found == [ip_address("8.8.8.8"), ip_address("2606:4700::1111")]


PUBLIC = [f"8.8.8.{number}" for number in range(9)]


@pytest.mark.parametrize(
    "addresses",
    [
        *([each] for each in (
            "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1",
            "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255",
            "::1", "::", "::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::",
            "2001::1", "fc00::1", "fd00:ec2::254", "fe80::1%eth0", "fec0::1", "ff02::1",
        )),
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        *([*PUBLIC[:at], "10.0.0.1", *PUBLIC[at:]] for at in (0, 4, 9)),
    ],
)  # fmt: skip
async def test_a_name_with_an_address_that_is_not_public_is_refused(addresses):
    assert await reason_of(judge_of(Names(a_test=[addresses]))) is RefusalReason.ADDRESS


async def test_a_public_address_of_this_host_is_refused():
    assert await reason_of(judge_of(Names(a_test=[["8.8.8.8"]]), own=["8.8.8.8"])) is RefusalReason.ADDRESS


@pytest.mark.parametrize("answer", [OSError("unknown"), [], [f"8.8.8.{number}" for number in range(17)]])
async def test_a_name_without_addresses_or_with_too_many_is_not_resolved(answer):
    assert await reason_of(judge_of(Names(a_test=[answer]))) is RefusalReason.UNRESOLVED


async def test_what_is_connected_is_what_was_judged():
    names, known = Names(a_test=[["8.8.8.8"], ["10.0.0.1"]]), KnownAddresses()
    judge = judge_of(names)
    assert await judge.addresses("a.test", 443, known) == await judge.addresses("a.test", 443, known)
    assert names.asked == ["a.test"]
    assert await reason_of(judge) is RefusalReason.ADDRESS


async def test_the_database_is_guarded_by_its_name():
    names = Names(a_test=[["10.1.1.1"]], db_test=[["10.1.1.1"]])
    allowed = (ip_network("10.0.0.0/8"),)
    assert await reason_of(judge_of(names, [("db.test", 443)], allowed=allowed)) is RefusalReason.ADDRESS
    assert await judge_of(names, [("db.test", 5432)], allowed=allowed).addresses("a.test", 443, KnownAddresses())


async def test_nothing_is_reached_at_the_port_of_a_guarded_name_that_is_unknown():
    names = Names(a_test=[["8.8.8.8"]], db_test=[OSError("away")])
    assert await reason_of(judge_of(names, [("db.test", 443)])) is RefusalReason.GUARDS_UNKNOWN
    assert await judge_of(names, [("db.test", 5432)]).addresses("a.test", 443, KnownAddresses())


async def test_what_an_execution_brings_is_guarded_for_it_alone():
    judge = judge_of(Names(a_test=[["10.1.1.1"]]), allowed=(ip_network("10.0.0.0/8"),))
    for address, port in (("10.1.1.2", 443), ("10.1.1.1", 5432)):
        assert await judge.addresses("a.test", 443, KnownAddresses(), [(address, port)])
    with pytest.raises(Refused) as refused:
        await judge.addresses("a.test", 443, KnownAddresses(), [("10.1.1.1", 443)])
    assert refused.value.reason is RefusalReason.ADDRESS
    assert await judge.addresses("a.test", 443, KnownAddresses())


async def test_a_name_that_an_execution_brings_and_this_host_cannot_resolve_refuses_no_port():
    names = Names(a_test=[["10.1.1.1"]], b_test=[["10.1.1.2"]], db_test=[OSError("unknown here")])
    judge = judge_of(names, allowed=(ip_network("10.0.0.0/8"),))
    brought = [("db.test", 443), ("10.1.1.1", 443)]
    for _ in range(2):
        assert await judge.addresses("b.test", 443, KnownAddresses(), brought)
    assert names.asked.count("db.test") == 1
    with pytest.raises(Refused) as refused:
        await judge.addresses("a.test", 443, KnownAddresses(), brought)
    assert refused.value.reason is RefusalReason.ADDRESS


@pytest.mark.parametrize("port", [443, 5432])
async def test_a_name_that_is_always_guarded_refuses_a_port_also_if_an_execution_brings_it(port):
    judge = judge_of(Names(a_test=[["8.8.8.8"]], db_test=[OSError("away")]), [("db.test", port)])
    with pytest.raises(Refused) as refused:
        await judge.addresses("a.test", 443, KnownAddresses(), [("db.test", 443)])
    assert refused.value.reason is RefusalReason.GUARDS_UNKNOWN


async def test_a_guarded_name_that_is_unknown_later_keeps_its_last_addresses():
    now_s = 1000.0
    names = Names(a_test=[["10.1.1.1"]], b_test=[["10.1.1.2"]], db_test=[["10.1.1.1"], OSError("away")])
    rules, guards = AddressRules(allowed=(ip_network("10.0.0.0/8"),)), KnownAddresses(lambda: now_s)
    judge = AddressJudge(rules, [("db.test", 443)], names, lambda _: False, guards)
    assert await judge.addresses("b.test", 443, KnownAddresses())
    now_s += 60
    assert await reason_of(judge) is RefusalReason.ADDRESS
    assert names.asked.count("db.test") == 2


async def test_names_that_hang_take_so_many_lookups_of_one_worker_and_none_of_another():
    """Lookups count until they end, also when those who asked have left."""
    going = asyncio.Event()
    asked = []

    async def resolve(host, port):
        asked.append(host)
        if not host.startswith("fast"):
            await going.wait()
        if host.startswith("gone"):
            raise OSError("unknown")
        return ["8.8.8.8"]

    judge = AddressJudge(AddressRules(), (), resolve, lambda _: False)
    one, other = KnownAddresses(), KnownAddresses()
    names = [*(f"slow{number}.test" for number in range(LOOKUPS_MAX - 1)), "gone.test"]
    leaving = [asyncio.ensure_future(judge.addresses(name, 443, one)) for name in names]
    await asyncio.sleep(0)
    for each in leaving:
        each.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    waiting = asyncio.ensure_future(judge.addresses("fast.test", 443, one))
    assert await judge.addresses("fast-other.test", 443, other)
    assert asked == [*names, "fast-other.test"]
    going.set()
    assert await waiting
    assert one.turns.locked() is False


async def test_names_that_hang_take_so_many_lookups_of_one_owner_whatever_its_workers_are():
    going = asyncio.Event()

    async def resolve(host, port):
        if host.startswith("slow"):
            await going.wait()
        return ["8.8.8.8"]

    judge = AddressJudge(AddressRules(), (), resolve, lambda _: False)
    of_owner = asyncio.Semaphore(OWNER_LOOKUPS_MAX)
    workers = [KnownAddresses(turns=LookupTurns(of_owner)) for _ in range(OWNER_LOOKUPS_MAX + 1)]
    for number, worker in enumerate(workers[:-1]):
        leaving = asyncio.ensure_future(judge.addresses(f"slow{number}.test", 443, worker))
        await asyncio.sleep(0)
        leaving.cancel()
    waiting = asyncio.ensure_future(judge.addresses("fast.test", 443, workers[-1]))
    assert await judge.addresses("fast.test", 443, KnownAddresses())
    assert not waiting.done()
    leaving = asyncio.ensure_future(judge.addresses("fast.test", 443, workers[-1]))
    await asyncio.sleep(0)
    leaving.cancel()
    going.set()
    assert await waiting
    assert not any(worker.turns.locked() for worker in workers)
