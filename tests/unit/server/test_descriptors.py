"""File descriptors for connections and workers."""

import resource

import pytest

from entrypoints.server.descriptors import (
    attainable,
    connections_within_limit,
    descriptors_needed,
    raise_limit,
    workers_within_limit,
)

UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch):
    """The soft and the hard limit as the system reports them; they can be set unless `refused` is true."""
    state = {"now": (1024, 524_288), "refused": False}

    def set_limit(_, both):
        if state["refused"]:
            raise ValueError("not allowed to raise maximum limit")
        state["now"] = both

    monkeypatch.setattr(resource, "getrlimit", lambda _: state["now"])
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    return state


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
def test_the_limit_rises_as_far_as_needed_and_never_falls(limits, before, after):
    limits["now"] = before
    expected = attainable(5376)
    raise_limit(5376)
    assert limits["now"] == after
    assert expected == (None if after[0] == UNLIMITED else after[0])


def test_a_limit_that_cannot_be_raised_stays(limits):
    limits["refused"] = True
    raise_limit(5376)
    assert limits["now"] == (1024, 524_288)


@pytest.mark.parametrize(
    ("limit", "workers", "connections"),
    [(65_536, 128, 4096), (5376, 128, 4096), (5375, 128, 4095), (1024, 42, 260), (400, 1, 1), (1, 1, 1)],
)
def test_workers_and_connections_share_the_descriptors(limits, limit, workers, connections):
    limits["now"] = (limit, limit)
    assert (workers_within_limit(128), connections_within_limit(4096, 128)) == (workers, connections)
    if limit > 518:
        assert descriptors_needed(connections, workers) <= limit


def test_without_a_limit_all_have_descriptors(limits):
    limits["now"] = (UNLIMITED, UNLIMITED)
    assert (workers_within_limit(128), connections_within_limit(4096, 128)) == (128, 4096)
