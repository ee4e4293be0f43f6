import fcntl
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from entrypoints.telemetry.detached_stream import DetachedStream

PATIENCE_S = 10.0
PIPE_BYTES = 4096


class Pipe:
    """A small pipe, read when the test says so."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read_until(self, end: str) -> str:
        received = bytearray()
        while not received.endswith(end.encode()):
            received += os.read(self.reader, 65_536)
        return received.decode()

    def stop_reading(self) -> None:
        os.close(self.reader)
        self.reader = -1

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


class Told:
    """Keeps what it was told of dropped lines."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.told = threading.Event()

    def __call__(self, count: int) -> None:
        self.counts.append(count)
        self.told.set()


def line(number: int) -> str:
    return f"{number:099}\n"


def fill(stream: DetachedStream, count: int) -> None:
    for number in range(count):
        stream.write(line(number))


def test_what_somebody_reads_arrives_in_order_and_at_once(pipe):
    stream = DetachedStream(pipe.writer)
    fill(stream, 10)
    stream.flush()
    assert pipe.read_until(line(9)) == "".join(map(line, range(10)))
    assert stream.dropped == 0


def test_a_reader_that_is_stuck_holds_nobody_up_and_finds_the_first_lines_later(pipe):
    told = Told()
    stream = DetachedStream(pipe.writer, told, bytes_max=10_000)
    fill(stream, 1000)
    assert not stream.settle(0.01)
    kept = 1000 - stream.dropped
    # 40 lines fill the pipe, 100 may wait.
    assert kept == 140
    assert pipe.read_until(line(kept - 1)) == "".join(map(line, range(kept)))
    assert stream.settle(PATIENCE_S)
    assert told.told.wait(PATIENCE_S)
    assert told.counts == [860]
    stream.write("again\n")
    assert pipe.read_until("again\n") == "again\n"


def test_a_line_longer_than_the_pipe_arrives_whole(pipe):
    stream = DetachedStream(pipe.writer)
    long = "x" * (3 * PIPE_BYTES) + "\n"
    stream.write(long)
    stream.write("next\n")
    assert pipe.read_until("next\n") == long + "next\n"


def test_a_reader_that_has_gone_breaks_nothing(pipe):
    stream = DetachedStream(pipe.writer)
    pipe.stop_reading()
    fill(stream, 3)
    assert stream.dropped == 3
    assert stream.settle()


def test_a_reader_that_goes_while_lines_wait_breaks_nothing(pipe):
    stream = DetachedStream(pipe.writer)
    fill(stream, 100)
    pipe.stop_reading()
    assert stream.settle(PATIENCE_S)
    assert stream.dropped == 60


def test_whoever_shares_the_descriptor_still_waits_as_before(pipe):
    DetachedStream(pipe.writer).write("a\n")
    assert not fcntl.fcntl(pipe.writer, fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_pipe_that_cannot_be_opened_anew_is_written_by_the_thread(pipe):
    pipe.stop_reading()
    stream = DetachedStream(pipe.writer)
    pipe.reader = os.open(f"/proc/self/fd/{pipe.writer}", os.O_RDONLY)
    fill(stream, 100)
    assert pipe.read_until(line(99)) == "".join(map(line, range(100)))
    assert stream.dropped == 0


def test_a_file_has_every_line(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        fill(DetachedStream(file.fileno()), 1000)
    assert path.read_text() == "".join(map(line, range(1000)))


def test_a_socket_whose_reader_is_stuck_holds_nobody_up():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = DetachedStream(ours.fileno(), bytes_max=1000)
        fill(stream, 20_000)
        assert stream.dropped > 0
        theirs.setblocking(False)
        assert theirs.recv(100) == line(0).encode()
        theirs.close()
        assert stream.settle(PATIENCE_S)


def test_who_is_told_of_dropped_lines_may_fail(pipe):
    def fail(_count: int) -> None:
        raise ValueError

    stream = DetachedStream(pipe.writer, fail, bytes_max=1000)
    fill(stream, 100)
    pipe.read_until(line(49))
    assert stream.settle(PATIENCE_S)
    stream.write("again\n")
    assert pipe.read_until("again\n") == "again\n"
