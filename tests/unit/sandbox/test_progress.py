"""Notices of progress are checked one by one, and counted."""

import itertools
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sandbox.protocol.progress import BURST_MAX, RATE_MAX, ProgressNotices
from adapters.sandbox.workers.channel import (
    NOTICE,
    NOTICE_SIZE_MAX,
    Frame,
    FrameReader,
    ProtocolBroken,
    encode_frame,
)
from domain.scripts.output import ScriptProgress
from tests.contracts.script_runs import Heard

NONCE = "0" * 24


def notice(value: object = 0.5, message: object = "half", nonce: object = NONCE) -> bytes:
    return json.dumps({"nonce": nonce, "value": value, "message": message}).encode()


def framed(content: bytes) -> bytes:
    return (len(content) | NOTICE).to_bytes(4, "little") + bytes(4) + content


def take_many(notices: ProgressNotices, count: int) -> None:
    for _ in range(count):
        notices.take(notice())


@pytest.fixture
def heard():
    return Heard()


def test_a_notice_reaches_the_listener(heard):
    notices = ProgressNotices(NONCE, heard)
    for value in (0, 0.5, 1, None):
        notices.take(notice(value, "a\0é"))
    assert heard.progress == [ScriptProgress(value, "a\ufffdé") for value in (0, 0.5, 1, None)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 2000,
        notice(1.5),
        notice(-1),
        notice("0.5"),
        notice(True),
        notice().replace(b"0.5", b"NaN"),
        notice().replace(b"0.5", b"1e999"),
        notice(message=None),
        notice(message="x" * 201),
        notice(message="a").replace(b'"a"', b'"\\ud800"'),
        notice(nonce="1" * 24),
        notice(nonce=None),
    ],
)
def test_anything_else_breaks_the_protocol_even_if_nobody_listens(heard, content):
    for listener in (heard, None):
        with pytest.raises(ProtocolBroken):
            ProgressNotices(NONCE, listener).take(content)
    assert heard.progress == []


def test_more_notices_than_a_worker_sends_break_the_protocol(heard):
    notices = ProgressNotices(NONCE, heard, time.monotonic())
    with pytest.raises(ProtocolBroken, match="more than a worker sends"):
        take_many(notices, 10_000)
    assert len(heard.progress) >= BURST_MAX


def test_a_script_that_has_run_for_longer_may_send_more(heard):
    notices = ProgressNotices(NONCE, heard, time.monotonic() - 10)
    take_many(notices, BURST_MAX + int(10 * RATE_MAX))


@given(
    contents=st.lists(st.binary(max_size=30), max_size=4),
    reply=st.booleans(),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_notices_and_a_reply_arrive_whole_in_any_pieces(contents, reply, cuts):
    taken: list[bytes] = []
    reader = FrameReader(50, taken.append)
    sent = b"".join(map(framed, contents)) + (encode_frame(b"{}", b"body") if reply else b"")
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    frames = [reader.feed(sent[start:end]) for start, end in itertools.pairwise(edges) if start < end]
    assert taken == contents
    assert [frame for frame in frames if frame is not None] == ([Frame(b"{}", b"body")] if reply else [])


@pytest.mark.parametrize(
    "sent",
    [
        (NOTICE | (NOTICE_SIZE_MAX + 1)).to_bytes(4, "little") + bytes(4),
        (NOTICE | 2).to_bytes(4, "little") + b"\1\0\0\0" + b"{}",
        encode_frame(b"{}") + framed(b"{}"),
        framed(b"{}") + encode_frame(b"{}") + b"x",
        b"\xff" * 8,
    ],
    ids=["too large", "with a body", "after the reply", "before two replies", "not a notice"],
)
def test_a_notice_at_the_wrong_place_or_of_a_wrong_size_breaks_the_protocol(sent):
    with pytest.raises(ProtocolBroken):
        FrameReader(10, lambda _: None).feed(sent)


def test_without_an_execution_a_notice_breaks_the_protocol():
    with pytest.raises(ProtocolBroken, match="without an execution"):
        FrameReader(10).feed(framed(notice()))
