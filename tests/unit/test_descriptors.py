"""How many descriptors there are, and for whom."""

import resource

import pytest

from entrypoints.descriptors import attainable, raise_limit, room_for_connections, wanted

UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch):
    """Limits of this process as they are told, soft and hard; they can be set as long as nobody refuses."""
    told = {"now": (1024, 524_288), "refused": False}

    def set_limit(_, both):
        if told["refused"]:
            raise ValueError("not allowed to raise maximum limit")
        told["now"] = both

    monkeypatch.setattr(resource, "getrlimit", lambda _: told["now"])
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    return told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1024, 524_288), (65_536, 524_288)),
        ((1024, 4096), (4096, 4096)),
        ((100_000, 524_288), (100_000, 524_288)),
        ((1024, UNLIMITED), (1024, UNLIMITED)),
        ((UNLIMITED, UNLIMITED), (UNLIMITED, UNLIMITED)),
    ],
)
def test_the_limit_is_raised_as_far_as_is_needed_and_never_lowered(limits, before, after):
    limits["now"] = before
    raise_limit()
    assert limits["now"] == after


def test_what_is_attainable_is_told_before_it_is_taken(limits):
    assert attainable() == 65_536
    limits["now"] = (1024, 2048)
    assert attainable() == 2048


def test_a_limit_that_must_not_be_raised_stays(limits):
    limits["refused"] = True
    raise_limit()
    assert limits["now"] == (1024, 524_288)


@pytest.mark.parametrize(
    ("limit", "room"),
    [(65_536, 4096), (4608, 4096), (4607, 4095), (1024, 512), (600, 150), (1, 1), (UNLIMITED, 4096)],
)
def test_connections_leave_room_for_workers_and_have_a_quarter_at_least(limits, limit, room):
    limits["now"] = (limit, limit)
    assert wanted(4096, 32) == 4608
    assert room_for_connections(4096, 32) == room
