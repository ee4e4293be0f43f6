"""A server that is behind is left, as long as the newer one answers."""

import psycopg
import pytest

from adapters.postgres.connections.timelines import FORGOTTEN_S, Timelines

STANDBY = 0


@pytest.fixture
def timelines(seconds):
    timelines = Timelines(seconds)
    timelines.require(2)
    return timelines


def test_a_newer_server_is_admitted(timelines):
    timelines.require(3)
    assert timelines.admits(3)


def test_a_server_that_is_behind_is_not_admitted(timelines):
    assert not timelines.admits(1)
    with pytest.raises(psycopg.OperationalError, match="timeline 1, and one on timeline 2"):
        timelines.require(1)


def test_a_server_without_a_timeline_is_admitted_and_is_not_the_newest(timelines):
    timelines.require(STANDBY)
    assert not timelines.admits(1)


def test_each_answer_of_the_newest_server_keeps_the_others_out(timelines, seconds):
    seconds.now = FORGOTTEN_S
    timelines.require(2)
    seconds.now = 2 * FORGOTTEN_S
    assert not timelines.admits(1)


def test_a_server_that_is_behind_counts_once_the_newer_one_has_been_silent_for_long(timelines, seconds):
    seconds.now = FORGOTTEN_S + 1
    timelines.require(1)
    assert timelines.admits(1)
    timelines.require(2)
    assert not timelines.admits(1)
