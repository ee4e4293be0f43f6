"""W3C Trace Context."""

import re

import pytest

from entrypoints.telemetry.tracing.passing import Passing
from entrypoints.telemetry.tracing.traceparent import TraceContext

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def read(parent, state=None):
    return TraceContext.read(parent.encode("latin-1"), state)


def test_a_valid_header_is_read():
    assert read(PARENT) == TraceContext(TRACE, SPAN, flags=1)


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "rubbish",
        PARENT[:-1],
        PARENT + "-more",
        PARENT + "0",
        PARENT.upper(),
        f" {PARENT}",
        f"{PARENT}, {PARENT}",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}_{SPAN}-01",
        f"00-{TRACE[:-1]}\xb2-{SPAN}-01",
        "0" * 100_000,
    ],
)
def test_what_is_not_valid_is_nothing(parent):
    assert read(parent) is None


def test_a_later_version_is_read_as_far_as_it_is_known():
    assert read(f"cc-{TRACE}-{SPAN}-01-what-the-future-holds") == TraceContext(TRACE, SPAN, flags=1)
    assert read(f"cc-{TRACE}-{SPAN}-01.what") is None


def test_flags_that_are_not_known_are_not_sent_on():
    assert read(f"00-{TRACE}-{SPAN}-ff").headers["traceparent"].endswith("-03")


def test_what_vendors_say_is_sent_on_unless_it_is_too_long_or_no_text():
    assert read(PARENT, b"vendor=1,other=2").headers["tracestate"] == "vendor=1,other=2"
    for state in (b"", b"x" * 513, b"a=\xff", b"a\nb"):
        assert "tracestate" not in read(PARENT, state).headers


def test_the_next_place_keeps_the_trace_and_has_an_id_of_its_own():
    caller = read(PARENT, b"vendor=1")
    places = [caller.below() for _ in range(100)]
    assert {place.trace_id for place in places} == {TRACE}
    assert len({place.span_id for place in places} | {SPAN}) == 101
    assert all((place.flags, place.state) == (1, "vendor=1") for place in places)


def test_a_place_that_is_sent_reads_back():
    place = TraceContext.new()
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-02", place.headers["traceparent"])
    assert read(place.headers["traceparent"]) == place


@pytest.mark.parametrize("parent", [None, b"rubbish"])
def test_without_a_recorder_only_the_traces_of_callers_go_on(parent):
    assert Passing().begin(parent, None, "GET") is None


def test_a_trace_that_is_passed_on_carries_this_place():
    trace = Passing().begin(PARENT.encode(), b"vendor=1", "GET")
    assert trace.context.trace_id == TRACE
    assert trace.context.span_id != SPAN
    assert trace.headers == {
        "traceparent": f"00-{TRACE}-{trace.context.span_id}-01",
        "tracestate": "vendor=1",
    }
