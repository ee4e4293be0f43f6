"""Starts a sandbox process and holds on to its ends of the pipes."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from functools import partial

from attrs import define

from adapters.sandbox.blueprint import Blueprint, Descriptors
from adapters.sandbox.control_group import ControlGroup

_WAIT_THEN_RUN = 'read -r _ && exec "$@" < /dev/null'


class LaunchFailed(Exception):
    """The sandbox did not come up; the text is what its launcher said."""


@define(eq=False)
class Launched:
    """A process that was started: the service's ends, all non-blocking, and the processes by descriptor.

    `inner_pid` is the interpreter's, known once it has said that it is ready.
    """

    outer: subprocess.Popen[bytes]
    outer_fd: int
    channel: socket.socket
    stdout: int
    stderr: int
    inner_pid: int | None = None
    inner_fd: int | None = None

    def identify(self, pid: int) -> None:
        """Take note of the interpreter; raises ProcessLookupError when it has gone."""
        self.inner_fd, self.inner_pid = os.pidfd_open(pid), pid

    def kill(self) -> None:
        """Kill the interpreter, whose launchers then collect it and end; before it is known, the launcher.

        The launcher alone would leave zombies for the system's first process to collect.
        """
        _kill(self.outer_fd if self.inner_fd is None else self.inner_fd)

    def kill_launcher(self) -> None:
        """Kill the launcher as well, when it does not end by itself."""
        _kill(self.outer_fd)

    def close(self) -> None:
        """Close every descriptor."""
        self.channel.close()
        _close(self.stdout, self.stderr, self.outer_fd, self.inner_fd)
        self.stdout = self.stderr = self.outer_fd = -1
        self.inner_fd = None


def launch(blueprint: Blueprint, group: ControlGroup | None = None) -> Launched:
    """Start a sandbox, all of it in the control group where there is one.

    Call it from a thread that lives as long as the service: the sandbox dies with the thread that started it. Raises
    OSError.
    """
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        channel, their_channel = socket.socketpair()
        ours.callback(channel.close)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        theirs.callback(their_channel.close)
        stdout, their_stdout = _pipe(ours, theirs)
        stderr, their_stderr = _pipe(ours, theirs)
        their_filter = _filled_pipe(blueprint.filter_program, theirs)
        descriptors = Descriptors(their_channel.fileno(), their_filter)
        start = _start if group is None else partial(_start_in, group)
        outer = start(blueprint, blueprint.command(descriptors), descriptors, (their_stdout, their_stderr))
        for descriptor in (stdout, stderr):
            os.set_blocking(descriptor, False)
        channel.setblocking(False)
        launched = Launched(outer, os.pidfd_open(outer.pid), channel, stdout, stderr)
        ours.pop_all()
        return launched


def _start_in(
    group: ControlGroup, blueprint: Blueprint, command: list[str], inherited: Descriptors, streams: tuple[int, int]
) -> "subprocess.Popen[bytes]":
    """Put the launcher into the group before it starts anything; raises OSError."""
    with contextlib.ExitStack() as closing:
        waiting, go = _pipe(closing, closing)
        command = [str(blueprint.programs.shell), "-c", _WAIT_THEN_RUN, "sh", *command]
        outer = _start(blueprint, command, inherited, streams, stdin=waiting)
        try:
            group.admit(outer.pid)
        except OSError:
            outer.kill()
            outer.wait()
            raise
        os.write(go, b"\n")
    return outer


def _start(
    blueprint: Blueprint,
    command: list[str],
    inherited: Descriptors,
    streams: tuple[int, int],
    stdin: int = subprocess.DEVNULL,
) -> "subprocess.Popen[bytes]":
    stdout, stderr = streams
    return subprocess.Popen(  # noqa: S603  # our own command line
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={},
        cwd="/",
        user=blueprint.uid,
        group=blueprint.uid,
        extra_groups=None if blueprint.uid is None else [],
        pass_fds=(inherited.channel, inherited.filter),
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
