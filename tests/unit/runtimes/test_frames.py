"""Frames: what is written is read again however it is split, within bounds."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.runtime_frames import (
    IGNORED_FROM,
    INCOMPLETE_MAX,
    MESSAGE_SIZE_MAX,
    PART_SIZE_MAX,
    BrokenStream,
    FrameParser,
    FrameWriter,
    IncompleteBytes,
    Kind,
)

SIZES_MAX = {Kind.RUN: 4 * PART_SIZE_MAX, Kind.CANCEL: 0, Kind.PING: 8}


def header(size: int, run_id: int = 1, kind: int = Kind.RUN, flags: int = 0) -> bytes:
    return struct.pack("!IIBB", size, run_id, kind, flags)


def written(*messages: tuple[int, int, bytes]) -> bytes:
    writer = FrameWriter()
    for message in messages:
        writer.put(*message)
    return writer.take(1 << 30)


def read(data: bytes, reader: FrameParser | None = None) -> list[tuple[int, int, bytes | None]]:
    return [frame[:3] for frame in (reader or FrameParser(SIZES_MAX)).feed(data)]


SIZES = st.sampled_from([0, 1, 300, PART_SIZE_MAX - 1, PART_SIZE_MAX, PART_SIZE_MAX + 1, 3 * PART_SIZE_MAX])


class TestReading:
    @given(st.lists(SIZES, max_size=5), st.lists(st.integers(1, 100_000), max_size=20))
    def test_messages_are_the_same_however_they_are_split(self, sizes, cuts):
        messages = [(Kind.RUN, number, bytes([number]) * size) for number, size in enumerate(sizes, 1)]
        data, reader, found = written(*messages), FrameParser(SIZES_MAX), []
        for cut in cuts:
            found += read(data[:cut], reader)
            data = data[cut:]
        found += read(data, reader)
        assert sorted(found) == sorted(messages)

    def test_single_bytes_make_the_same_messages(self):
        reader, data = FrameParser(SIZES_MAX), written((Kind.RUN, 7, b"abc"), (Kind.CANCEL, 7, b""))
        found = [frame for at in range(len(data)) for frame in read(data[at : at + 1], reader)]
        assert found == [(Kind.RUN, 7, b"abc"), (Kind.CANCEL, 7, b"")]

    def test_kinds_of_a_later_version_are_dropped(self):
        data = header(3, kind=IGNORED_FROM, flags=9) + b"new" + written((Kind.RUN, 1, b"x"))
        assert read(data) == [(Kind.RUN, 1, b"x")]

    @pytest.mark.parametrize(
        "data",
        [
            header(0xFFFF_FFFF),
            header(PART_SIZE_MAX + 1),
            header(0, kind=Kind.END),
            header(0, kind=0),
            header(0, flags=2),
            header(0, flags=1),
            header(1, flags=1) + b"x",
            header(PART_SIZE_MAX, flags=1) + bytes(PART_SIZE_MAX) + header(0, kind=Kind.CANCEL),
        ],
        ids=["4-gib", "long", "wrong-side", "no-kind", "flags", "empty-part", "short-part", "within-a-message"],
    )
    def test_what_breaks_the_protocol_is_an_error(self, data):
        with pytest.raises(BrokenStream):
            read(data)

    def test_a_length_is_judged_before_its_payload_arrives(self):
        with pytest.raises(BrokenStream, match="4294967295 bytes, and 65536 are allowed"):
            read(header(0xFFFF_FFFF))

    def test_a_message_over_its_limit_is_counted_and_not_kept(self):
        kept = IncompleteBytes()
        reader, size = FrameParser(SIZES_MAX, kept), 5 * PART_SIZE_MAX
        (frame,) = reader.feed(written((Kind.RUN, 1, bytes(size))))
        assert (frame.payload, frame.size, kept.size) == (None, size, 0)
        assert read(written((Kind.PING, 0, bytes(9))), reader) == [(Kind.PING, 0, None)]

    def test_an_endless_message_is_an_error(self):
        reader, part = FrameParser(SIZES_MAX), header(PART_SIZE_MAX, flags=1) + bytes(PART_SIZE_MAX)
        for _ in range(MESSAGE_SIZE_MAX // PART_SIZE_MAX):
            assert read(part, reader) == []
        with pytest.raises(BrokenStream, match="more than 67108864 bytes"):
            read(part, reader)

    def test_messages_without_an_end_are_an_error_once_there_are_too_many(self):
        reader = FrameParser(SIZES_MAX, IncompleteBytes(0))
        part = bytes(PART_SIZE_MAX)
        for run_id in range(1, INCOMPLETE_MAX + 1):
            reader.feed(header(PART_SIZE_MAX, run_id, flags=1) + part)
        with pytest.raises(BrokenStream, match="parts of more than"):
            reader.feed(header(PART_SIZE_MAX, INCOMPLETE_MAX + 1, flags=1) + part)

    def test_readers_share_a_bound_of_incomplete_bytes(self):
        kept = IncompleteBytes(2 * PART_SIZE_MAX)
        first, second = FrameParser(SIZES_MAX, kept), FrameParser(SIZES_MAX, kept)
        part, last = header(PART_SIZE_MAX, flags=1) + bytes(PART_SIZE_MAX), header(1) + b"x"
        read(part + part, first)
        assert read(part + last, second) == [(Kind.RUN, 1, None)]
        first.close()
        assert kept.size == 0
        assert read(part + last, second) == [(Kind.RUN, 1, bytes(PART_SIZE_MAX) + b"x")]


class TestWriting:
    def test_large_messages_take_turns(self):
        writer = FrameWriter()
        writer.put(Kind.RUN, 1, b"a" * 2 * PART_SIZE_MAX)
        writer.put(Kind.RUN, 2, b"b" * 2 * PART_SIZE_MAX)
        writer.put(Kind.PING, 0, bytes(8))
        parts = [writer.take(1) for _ in range(5)]
        assert [part[10:11] for part in parts] == [b"a", b"b", b"\0", b"a", b"b"]
        assert (writer.take(1), writer.unsent) == (b"", 0)

    def test_messages_of_one_id_keep_their_order(self):
        writer = FrameWriter()
        writer.put(Kind.RUN, 1, bytes(2 * PART_SIZE_MAX))
        writer.put(Kind.CANCEL, 1)
        assert [kind for kind, _, _ in read(writer.take(1 << 20))] == [Kind.RUN, Kind.CANCEL]

    def test_it_gives_no_more_than_it_is_asked_for_and_one_part(self):
        writer = FrameWriter()
        writer.put(Kind.RUN, 1, bytes(4 * PART_SIZE_MAX))
        assert len(writer.take(PART_SIZE_MAX)) <= PART_SIZE_MAX + 10
        assert writer.unsent > 2 * PART_SIZE_MAX

    def test_it_knows_which_messages_wait_whole(self):
        writer = FrameWriter()
        for run_id, size in [(1, 1), (2, 2 * PART_SIZE_MAX), (3, 2 * PART_SIZE_MAX), (4, 1)]:
            writer.put(Kind.RUN, run_id, bytes(size))
        writer.put(Kind.PING, 0, bytes(8))
        assert writer.untaken(Kind.RUN) == {1, 2, 3, 4}
        writer.take(PART_SIZE_MAX)
        assert writer.untaken(Kind.RUN) == {3, 4}

    def test_it_has_frames_until_the_last_is_taken(self):
        writer = FrameWriter()
        writer.put(Kind.RUN, 1, bytes(12 * PART_SIZE_MAX))
        writer.put(Kind.CANCEL, 1, bytes(100))
        taken = b""
        while writer.has_frames:
            taken += writer.take(4 * PART_SIZE_MAX)
        assert len(taken) == 12 * PART_SIZE_MAX + 100 + 13 * 10
