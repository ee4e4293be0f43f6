"""Frames are put together from any pieces, and nothing but whole ones in answer is let through."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sandbox.workers.frames import HEADER_SIZE_MAX, Frame, FrameReader, ProtocolBroken, encode_frame


@given(header=st.binary(max_size=50), body=st.binary(max_size=50), cuts=st.lists(st.integers(0, 110), max_size=5))
def test_a_frame_arrives_whole_in_whatever_pieces(header, body, cuts):
    encoded, reader = encode_frame(header, body), FrameReader(50)
    edges = [0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]
    pieces = [encoded[start:end] for start, end in itertools.pairwise(edges) if start < end]
    frames = [reader.feed(piece) for piece in pieces]
    assert frames == [None] * (len(pieces) - 1) + [Frame(header, body)]


def test_the_next_frame_begins_afresh():
    reader = FrameReader(10)
    assert reader.feed(encode_frame(b"a", b"1")) == Frame(b"a", b"1")
    assert reader.feed(encode_frame(b"b")) == Frame(b"b", b"")


@pytest.mark.parametrize(
    "bytes_sent",
    [
        struct.pack("<II", 2, 11),
        struct.pack("<II", HEADER_SIZE_MAX + 1, 0),
        b"\xff" * 8,
        encode_frame(b"{}") + b"x",
        encode_frame(b"{}") + encode_frame(b"{}"),
    ],
)
def test_too_large_or_too_much_breaks_the_protocol_at_once(bytes_sent):
    with pytest.raises(ProtocolBroken):
        FrameReader(10).feed(bytes_sent)
