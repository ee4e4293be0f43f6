"""One processor is kept free of workers that compute for long, where there are several and the service may say so."""

import os

import pytest

from adapters.sandbox.guest import zygote
from adapters.sandbox.isolation import cpu_affinity

SYS_NICE = 1 << 23


@pytest.fixture
def grant(monkeypatch, tmp_path):
    def to_have(numbers, capabilities=0):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(numbers))
        status = tmp_path / "status"
        status.write_text(f"Name:\tserver\nCapPrm:\t{SYS_NICE:016x}\nCapEff:\t{capabilities:016x}\nCapBnd:\t0\n")
        monkeypatch.setattr(cpu_affinity, "_STATUS", status)

    return to_have


def test_those_that_compute_have_all_processors_but_one(grant):
    grant({5, 2, 7})
    assert list(cpu_affinity.busy_processors()) == [5, 7]
    assert set(cpu_affinity.all_processors()) == {2, 5, 7}


def test_a_service_with_one_processor_keeps_none_free(grant):
    grant({3})
    assert list(cpu_affinity.busy_processors()) == [3]
    assert cpu_affinity.why_none_is_free(None) == "the service has one processor"


@pytest.mark.parametrize(("uid", "capabilities"), [(None, 0), (1000, SYS_NICE), (1000, SYS_NICE | 1)])
def test_who_may_move_workers_starts_them_beside_the_free_processor(grant, uid, capabilities):
    grant({0, 1}, capabilities)
    assert list(cpu_affinity.starting_processors(uid)) == [1]
    assert not cpu_affinity.why_none_is_free(uid)


def test_who_may_not_move_them_starts_them_anywhere_and_is_told_the_remedy(grant):
    grant({0, 1}, SYS_NICE - 1)
    assert set(cpu_affinity.starting_processors(1000)) == {0, 1}
    assert "CAP_SYS_NICE" in cpu_affinity.why_none_is_free(1000)


def test_a_worker_starts_on_the_processors_of_its_order_and_interrupts_nobody(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, policy, _: asked.append((pid, policy)))
    zygote.schedule([1, 2])
    assert asked == [(0, [1, 2]), (0, os.SCHED_BATCH)]


def test_a_worker_that_may_choose_nothing_starts_as_it_is(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    zygote.schedule([1, 2])
