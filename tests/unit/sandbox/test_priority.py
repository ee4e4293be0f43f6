"""What a worker's priority asks of the system, and how often it asks for what it is refused."""

import os
import subprocess

import pytest

from adapters.sandbox.isolation.cpu_priority import CpuPriority


class Calls(list):
    """The names of the calls that were made; those in `refused` fail."""

    refused = frozenset()


@pytest.fixture
def asked(monkeypatch):
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
    """A process that is the first of a session of its own, as workers are."""
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as process:
        yield process.pid
        process.kill()


def test_a_worker_that_has_started_keeps_the_niceness_of_the_service(asked, worker):
    CpuPriority(worker).start()
    assert set(asked) == {"sched_setaffinity"}


def test_who_may_not_choose_processors_lets_others_go_first_all_the_same(asked, worker):
    asked.refused = {"sched_setaffinity"}
    CpuPriority(worker).lower()
    assert asked == ["sched_setaffinity", "setpriority"]


def test_what_was_lowered_is_restored_once_even_where_that_is_refused(asked, worker):
    priority = CpuPriority(worker)
    priority.restore()
    assert asked == []
    priority.lower()
    asked.clear()
    asked.refused = {"sched_setaffinity", "setpriority"}
    priority.restore()
    assert set(asked) == {"sched_setaffinity", "setpriority"}
    asked.clear()
    priority.restore()
    assert asked == []


@pytest.mark.parametrize(("own", "lowered", "restored"), [(0, 10, 0), (-5, 5, -5), (5, 15, 5), (15, 19, 15)])
def test_no_worker_goes_before_a_service_that_is_nice(monkeypatch, worker, own, lowered, restored):
    niceness = []
    monkeypatch.setattr(os, "getpriority", lambda *_: own)
    monkeypatch.setattr(os, "setpriority", lambda _, group, value: niceness.append((group, value)))
    priority = CpuPriority(worker)
    priority.lower()
    priority.restore()
    assert niceness == [(worker, lowered), (worker, restored)]


def test_a_worker_of_no_number_is_left_alone(asked):
    priority = CpuPriority()
    priority.lower()
    priority.restore()
    assert asked == []
