"""W3C Trace Context."""

import re

import pytest

from entrypoints.telemetry.tracing.trace import Propagation
from entrypoints.telemetry.tracing.traceparent import TraceContext

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def read(parent, state=None):
    return TraceContext.read(parent.encode("latin-1"), state)


def test_a_valid_header_is_parsed():
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
def test_an_invalid_header_is_ignored(parent):
    assert read(parent) is None


def test_the_known_part_of_a_later_version_is_parsed():
    assert read(f"cc-{TRACE}-{SPAN}-01-what-the-future-holds") == TraceContext(TRACE, SPAN, flags=1)
    assert read(f"cc-{TRACE}-{SPAN}-01.what") is None


def test_unknown_flags_are_not_propagated():
    assert read(f"00-{TRACE}-{SPAN}-ff").headers["traceparent"].endswith("-03")


def test_the_state_of_vendors_is_propagated_unless_it_is_too_long_or_not_text():
    assert read(PARENT, b"vendor=1,other=2").headers["tracestate"] == "vendor=1,other=2"
    for state in (b"", b"x" * 513, b"a=\xff", b"a\nb"):
        assert "tracestate" not in read(PARENT, state).headers


def test_a_child_keeps_the_trace_and_has_its_own_span_id():
    caller = read(PARENT, b"vendor=1")
    children = [caller.child() for _ in range(100)]
    assert {child.trace_id for child in children} == {TRACE}
    assert len({child.span_id for child in children} | {SPAN}) == 101
    assert all((child.flags, child.state) == (1, "vendor=1") for child in children)


def test_the_headers_of_a_new_trace_parse_to_the_same():
    first = TraceContext.new()
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-02", first.headers["traceparent"])
    assert read(first.headers["traceparent"]) == first


@pytest.mark.parametrize("parent", [None, b"rubbish"])
def test_without_a_recorder_only_the_traces_of_callers_continue(parent):
    assert Propagation().begin(parent, None, "GET") is None


def test_a_propagated_trace_has_the_span_of_this_request():
    trace = Propagation().begin(PARENT.encode(), b"vendor=1", "GET")
    assert trace.context.trace_id == TRACE
    assert trace.context.span_id != SPAN
    assert trace.headers == {
        "traceparent": f"00-{TRACE}-{trace.context.span_id}-01",
        "tracestate": "vendor=1",
    }
