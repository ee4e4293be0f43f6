"""A stream whose writers never block."""

import fcntl
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from entrypoints.telemetry.detached_stream import DetachedStream

TIMEOUT_S = 10.0
PIPE_BYTES = 4096


class Pipe:
    """A small pipe, which the test reads."""

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


class Reports:
    """Keeps the reported numbers of dropped lines."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.reported = threading.Event()

    def __call__(self, count: int) -> None:
        self.counts.append(count)
        self.reported.set()


def line(number: int) -> str:
    return f"{number:099}\n"


def fill(stream: DetachedStream, count: int) -> None:
    for number in range(count):
        stream.write(line(number))


def test_a_reader_gets_lines_in_order_and_at_once(pipe):
    stream = DetachedStream(pipe.writer)
    fill(stream, 10)
    stream.flush()
    assert pipe.read_until(line(9)) == "".join(map(line, range(10)))
    assert stream.dropped == 0


def test_a_blocked_reader_delays_no_writer_and_gets_the_first_lines_later(pipe):
    reports = Reports()
    stream = DetachedStream(pipe.writer, reports, bytes_max=10_000)
    fill(stream, 1000)
    assert not stream.wait_written(0.01)
    kept = 1000 - stream.dropped
    # 40 lines fill the pipe, 100 may wait.
    assert kept == 140
    assert pipe.read_until(line(kept - 1)) == "".join(map(line, range(kept)))
    assert stream.wait_written(TIMEOUT_S)
    assert reports.reported.wait(TIMEOUT_S)
    assert reports.counts == [860]
    stream.write("again\n")
    assert pipe.read_until("again\n") == "again\n"


def test_a_line_longer_than_the_pipe_arrives_complete(pipe):
    stream = DetachedStream(pipe.writer)
    long = "x" * (3 * PIPE_BYTES) + "\n"
    stream.write(long)
    stream.write("next\n")
    assert pipe.read_until("next\n") == long + "next\n"


def test_lines_for_a_missing_reader_are_dropped(pipe):
    stream = DetachedStream(pipe.writer)
    pipe.stop_reading()
    fill(stream, 3)
    assert stream.dropped == 3
    assert stream.wait_written()


def test_lines_that_wait_for_a_reader_that_disappears_are_dropped(pipe):
    stream = DetachedStream(pipe.writer)
    fill(stream, 100)
    pipe.stop_reading()
    assert stream.wait_written(TIMEOUT_S)
    assert stream.dropped == 60


def test_the_shared_descriptor_stays_blocking_for_other_processes(pipe):
    DetachedStream(pipe.writer).write("a\n")
    assert not fcntl.fcntl(pipe.writer, fcntl.F_GETFL) & os.O_NONBLOCK


def test_the_thread_writes_to_a_pipe_that_cannot_be_opened_again(pipe):
    pipe.stop_reading()
    stream = DetachedStream(pipe.writer)
    pipe.reader = os.open(f"/proc/self/fd/{pipe.writer}", os.O_RDONLY)
    fill(stream, 100)
    assert pipe.read_until(line(99)) == "".join(map(line, range(100)))
    assert stream.dropped == 0


def test_a_file_gets_every_line(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        fill(DetachedStream(file.fileno()), 1000)
    assert path.read_text() == "".join(map(line, range(1000)))


def test_a_blocked_socket_delays_no_writer():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = DetachedStream(ours.fileno(), bytes_max=1000)
        fill(stream, 20_000)
        assert stream.dropped > 0
        theirs.setblocking(False)
        assert theirs.recv(100) == line(0).encode()
        theirs.close()
        assert stream.wait_written(TIMEOUT_S)


def test_a_failing_report_does_not_end_the_thread(pipe):
    def fail(_count: int) -> None:
        raise ValueError

    stream = DetachedStream(pipe.writer, fail, bytes_max=1000)
    fill(stream, 100)
    pipe.read_until(line(49))
    assert stream.wait_written(TIMEOUT_S)
    stream.write("again\n")
    assert pipe.read_until("again\n") == "again\n"
