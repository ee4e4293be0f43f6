"""How many descriptors there are, and for whom."""

import resource

import pytest

from entrypoints.server.descriptors import attainable, raise_limit, room_for_connections, room_for_workers, wanted

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
        ((1024, 524_288), (5376, 524_288)),
        ((1024, 4096), (4096, 4096)),
        ((20_000, 524_288), (20_000, 524_288)),
        ((1024, UNLIMITED), (5376, UNLIMITED)),
        ((UNLIMITED, UNLIMITED), (UNLIMITED, UNLIMITED)),
    ],
)
def test_the_limit_is_raised_as_far_as_is_needed_and_never_lowered(limits, before, after):
    limits["now"] = before
    told = attainable(5376)
    raise_limit(5376)
    assert limits["now"] == after
    assert told == (None if after[0] == UNLIMITED else after[0])


def test_a_limit_that_must_not_be_raised_stays(limits):
    limits["refused"] = True
    raise_limit(5376)
    assert limits["now"] == (1024, 524_288)


@pytest.mark.parametrize(
    ("limit", "workers", "connections"),
    [(65_536, 128, 4096), (5376, 128, 4096), (5375, 128, 4095), (1024, 64, 256), (400, 5, 104), (1, 1, 1)],
)
def test_workers_and_connections_share_what_there_is(limits, limit, workers, connections):
    limits["now"] = (limit, limit)
    assert (room_for_workers(128), room_for_connections(4096, 128)) == (workers, connections)
    if limit > 1:
        assert wanted(connections, workers) <= limit


def test_without_a_limit_there_is_room_for_all(limits):
    limits["now"] = (UNLIMITED, UNLIMITED)
    assert (room_for_workers(128), room_for_connections(4096, 128)) == (128, 4096)
