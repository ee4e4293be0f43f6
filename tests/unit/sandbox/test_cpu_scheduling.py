"""One processor is kept free of workers that compute for long, and these workers rank behind others."""

import os
import subprocess

import pytest

from adapters.sandbox.guest.python import isolation
from adapters.sandbox.isolation.cpu_scheduling import (
    all_processors,
    busy_processors,
    starting_processors,
    why_none_is_free,
)
from adapters.sandbox.workers.deadline import CpuPriority

SYS_NICE = 1 << 23


@pytest.fixture
def grant(monkeypatch, tmp_path):
    def to_service(numbers, capabilities=0):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(numbers))
        status = tmp_path / "proc/self/status"
        status.parent.mkdir(parents=True)
        status.write_text(f"Name:\tserver\nCapPrm:\t{SYS_NICE:016x}\nCapEff:\t{capabilities:016x}\nCapBnd:\t0\n")
        return tmp_path

    return to_service


def test_workers_that_compute_run_on_all_processors_but_one(grant):
    grant({5, 2, 7})
    assert list(busy_processors()) == [5, 7]
    assert set(all_processors()) == {2, 5, 7}


def test_a_service_with_one_processor_keeps_none_free(grant):
    grant({3})
    assert list(busy_processors()) == [3]
    assert why_none_is_free(None) == "the service has one processor. Give it two."


@pytest.mark.parametrize(("uid", "capabilities"), [(None, 0), (1000, SYS_NICE), (1000, SYS_NICE | 1)])
def test_a_service_that_may_move_workers_starts_them_beside_the_free_processor(grant, uid, capabilities):
    root = grant({0, 1}, capabilities)
    assert list(starting_processors(uid, root)) == [1]
    assert not why_none_is_free(uid, root)


def test_a_service_that_may_not_move_workers_starts_them_anywhere_and_reports_the_remedy(grant):
    root = grant({0, 1}, SYS_NICE - 1)
    assert set(starting_processors(1000, root)) == {0, 1}
    assert "CAP_SYS_NICE" in why_none_is_free(1000, root)


def test_a_worker_starts_on_the_processors_of_its_order_and_preempts_nothing(monkeypatch):
    calls = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(os, "sched_setscheduler", lambda pid, policy, _: calls.append((pid, policy)))
    isolation.schedule([1, 2])
    assert calls == [(0, [1, 2]), (0, os.SCHED_BATCH)]


def test_a_worker_starts_although_the_kernel_refuses_every_choice(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    isolation.schedule([1, 2])


class Calls(list):
    """The names of the system calls that were made. Calls in `refused` fail."""

    refused = frozenset()


@pytest.fixture
def calls(monkeypatch):
    calls = Calls()

    def call(name):
        def make(*_):
            calls.append(name)
            if name in calls.refused:
                raise PermissionError

        monkeypatch.setattr(os, name, make)

    call("sched_setaffinity")
    call("setpriority")
    return calls


@pytest.fixture
def worker():
    """A process that is the first of its own session, as workers are."""
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as process:
        yield process.pid
        process.kill()


def test_a_worker_that_has_started_keeps_the_niceness_of_the_service(calls, worker):
    CpuPriority(worker).start()
    assert set(calls) == {"sched_setaffinity"}


def test_the_priority_is_lowered_although_the_processors_cannot_be_chosen(calls, worker):
    calls.refused = {"sched_setaffinity"}
    CpuPriority(worker).lower()
    assert calls == ["sched_setaffinity", "setpriority"]


def test_a_lowered_priority_is_restored_once_even_if_that_is_refused(calls, worker):
    priority = CpuPriority(worker)
    priority.restore()
    assert calls == []
    priority.lower()
    calls.clear()
    calls.refused = {"sched_setaffinity", "setpriority"}
    priority.restore()
    assert set(calls) == {"sched_setaffinity", "setpriority"}
    calls.clear()
    priority.restore()
    assert calls == []


@pytest.mark.parametrize(("own", "lowered", "restored"), [(0, 10, 0), (-5, 5, -5), (5, 15, 5), (15, 19, 15)])
def test_no_worker_ranks_before_a_nice_service(monkeypatch, worker, own, lowered, restored):
    niceness = []
    monkeypatch.setattr(os, "getpriority", lambda *_: own)
    monkeypatch.setattr(os, "setpriority", lambda _, group, value: niceness.append((group, value)))
    priority = CpuPriority(worker)
    priority.lower()
    priority.restore()
    assert niceness == [(worker, lowered), (worker, restored)]


def test_a_worker_without_a_known_pid_is_left_alone(calls):
    priority = CpuPriority()
    priority.lower()
    priority.restore()
    assert calls == []
