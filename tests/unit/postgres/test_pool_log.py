"""The pool's log is thinned."""

import logging

from adapters.postgres.connections.pool_log import Thinned, thin_pool_log


def record(text):
    return logging.LogRecord("psycopg.pool", logging.WARNING, __file__, 1, text, None, None)


def test_a_message_of_one_kind_passes_once_in_the_interval():
    now_s = [100.0]
    thinned = Thinned(10.0, lambda: now_s[0])
    assert thinned.filter(record("error connecting in %r: %s"))
    assert not thinned.filter(record("error connecting in %r: %s"))
    assert thinned.filter(record("discarding closed connection: %s"))
    now_s[0] += 10.0
    assert thinned.filter(record("error connecting in %r: %s"))


def test_the_kinds_that_it_remembers_are_bounded():
    thinned = Thinned(10.0, lambda: 0.0)
    for number in range(1000):
        thinned.filter(record(f"kind {number}"))
    assert len(thinned._told_at_s) <= 64


def test_thinning_twice_adds_one_filter():
    thin_pool_log()
    before = len(logging.getLogger("psycopg.pool").filters)
    thin_pool_log()
    assert len(logging.getLogger("psycopg.pool").filters) == before
