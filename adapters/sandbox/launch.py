"""Starts a sandbox process and holds on to its ends of the pipes."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import msgspec
from attrs import define

from adapters.sandbox.blueprint import Blueprint, Descriptors


class LaunchFailed(Exception):
    """The sandbox did not come up; the text is what its launcher said."""


class _Info(msgspec.Struct):
    child_pid: int = msgspec.field(name="child-pid")


@define(eq=False)
class Launched:
    """A process that was started: the service's ends, all non-blocking, and the processes by descriptor.

    `inner_pid` is the interpreter's, known once `info` has been read.
    """

    outer: subprocess.Popen[bytes]
    outer_fd: int
    channel: socket.socket
    stdout: int
    stderr: int
    info: int
    inner_pid: int | None = None
    inner_fd: int | None = None

    def identify(self, info: bytes) -> bool:
        """Read what bubblewrap tells of its child; return whether it was complete."""
        try:
            pid = msgspec.json.decode(info, type=_Info).child_pid
        except msgspec.DecodeError:
            return False
        self.inner_pid, self.inner_fd = pid, os.pidfd_open(pid)
        return True

    def kill(self) -> None:
        """Kill the interpreter, whose launcher then collects it and ends; without an interpreter, the launcher.

        The launcher alone would leave, in its first moments, the interpreter alive, and later its zombie.
        """
        _kill(self.outer_fd if self.inner_fd is None else self.inner_fd)

    def kill_launcher(self) -> None:
        """Kill the launcher as well, when it does not end by itself."""
        _kill(self.outer_fd)

    def close(self) -> None:
        """Close every descriptor."""
        self.channel.close()
        _close(self.stdout, self.stderr, self.info, self.outer_fd, self.inner_fd)
        self.stdout = self.stderr = self.info = self.outer_fd = -1
        self.inner_fd = None


def launch(blueprint: Blueprint) -> Launched:
    """Start a sandbox.

    Call it from a thread that lives as long as the service: the sandbox dies with the thread that started it. Raises
    OSError.
    """
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        channel, their_channel = socket.socketpair()
        ours.callback(channel.close)
        theirs.callback(their_channel.close)
        info, their_info = _pipe(ours, theirs)
        stdout, their_stdout = _pipe(ours, theirs)
        stderr, their_stderr = _pipe(ours, theirs)
        their_filter = _filled_pipe(blueprint.filter_program, theirs)
        descriptors = Descriptors(their_channel.fileno(), their_filter, their_info)
        outer = _start(blueprint, descriptors, their_stdout, their_stderr)
        for descriptor in (info, stdout, stderr):
            os.set_blocking(descriptor, False)
        channel.setblocking(False)
        launched = Launched(outer, os.pidfd_open(outer.pid), channel, stdout, stderr, info)
        ours.pop_all()
        return launched


def _start(blueprint: Blueprint, inherited: Descriptors, stdout: int, stderr: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603  # our own command line
        blueprint.command(inherited),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={},
        cwd="/",
        user=blueprint.uid,
        group=blueprint.uid,
        extra_groups=None if blueprint.uid is None else [],
        pass_fds=(inherited.channel, inherited.filter, inherited.info),
        start_new_session=True,
    )


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    read_end, write_end = os.pipe()
    reader.callback(os.close, read_end)
    writer.callback(os.close, write_end)
    return read_end, write_end


def _filled_pipe(content: bytes, reader: contextlib.ExitStack) -> int:
    read_end, write_end = os.pipe()
    reader.callback(os.close, read_end)
    try:
        os.write(write_end, content)
    finally:
        os.close(write_end)
    return read_end


def _kill(descriptor: int) -> None:
    if descriptor >= 0:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def _close(*descriptors: int | None) -> None:
    for descriptor in _open(descriptors):
        os.close(descriptor)


def _open(descriptors: tuple[int | None, ...]) -> Iterator[int]:
    return (descriptor for descriptor in descriptors if descriptor is not None and descriptor >= 0)
