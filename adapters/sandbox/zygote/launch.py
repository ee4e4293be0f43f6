"""Starts programs in a sandbox, and holds the service's ends of their descriptors."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable
from functools import partial

from attrs import define, field, frozen

from adapters.sandbox.isolation.control_group import ControlGroup
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec

_WAIT_THEN_RUN = 'read -r _ && exec "$@" < /dev/null'


class LaunchFailed(Exception):
    """A sandbox or a worker did not start. The text is the launcher's message."""


class ZygoteLost(LaunchFailed):
    """The zygote ended while it started a worker. Another zygote can start it."""


class PreloadFailed(LaunchFailed):
    """A zygote ended before it had imported the packages of its environment. The text is what it wrote last."""


class ForkUnsafe(LaunchFailed):
    """A fork of a zygote did not pass its check, so no fork of it is used."""


class ForkUnchecked(LaunchFailed):
    """The check of the first fork of a zygote has not ended, so its forks are not used yet."""


@frozen
class Exit:
    """How a process ended: its exit code, or the negative number of the signal; None while it has not.

    `memory_bytes` is the most memory that it held at once, None if unknown.
    """

    status: int | None = None
    memory_bytes: int | None = None


@define(eq=False)
class Launched:
    """A started worker: the service's ends, all non-blocking, its process id and its process descriptor."""

    channel: socket.socket
    stdout: int
    stderr: int
    pid: int | None
    pid_fd: int
    exited: "asyncio.Future[Exit]" = field(factory=lambda: asyncio.get_running_loop().create_future())
    """Done after it has left the process table."""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, even if it is still in the process table."""
        if self.exited.done():
            return True
        end = select.poll()
        end.register(self.pid_fd, select.POLLIN)
        return bool(end.poll(0))

    def kill(self) -> None:
        """Kill it, and everything in its process namespace."""
        kill(self.pid_fd)

    def discard(self) -> None:
        """Kill it, and close every descriptor once it has ended."""
        self.kill()
        self.exited.add_done_callback(lambda _: self.close())

    def close(self) -> None:
        """Close every descriptor."""
        self.channel.close()
        for descriptor in (self.stdout, self.stderr, self.pid_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self.stdout = self.stderr = self.pid_fd = -1


@define(eq=False)
class DescriptorEnds:
    """A worker's channel and streams before its start: the service's ends, and the worker's in `theirs`."""

    channel: socket.socket
    stdout: int
    stderr: int
    theirs: tuple[int, int, int]
    _closing: contextlib.ExitStack

    @classmethod
    def make(cls) -> "DescriptorEnds":
        """Make them; raises OSError."""
        with contextlib.ExitStack() as ours:
            channel, their_channel = socket.socketpair()
            ours.callback(channel.close)
            theirs = contextlib.ExitStack()
            theirs.callback(their_channel.close)
            ours.push(theirs)
            stdout, their_stdout = pipe(ours, theirs)
            stderr, their_stderr = pipe(ours, theirs)
            channel.setblocking(False)
            os.set_blocking(stdout, False)
            os.set_blocking(stderr, False)
            ours.pop_all()
            return cls(channel, stdout, stderr, (their_channel.fileno(), their_stdout, their_stderr), theirs)

    def close_theirs(self) -> None:
        """Close the worker's ends in this process."""
        self._closing.close()

    def close(self) -> None:
        """Close every end."""
        self.close_theirs()
        self.channel.close()
        os.close(self.stdout)
        os.close(self.stderr)

    def launched(self, pid_fd: int, pid: int | None) -> Launched:
        """Return the worker that was started on these ends."""
        return Launched(self.channel, self.stdout, self.stderr, pid, pid_fd)


@define
class WorkerOrder:
    """A worker that a zygote was ordered to start."""

    ends: DescriptorEnds
    launched: "asyncio.Future[Launched]"


def start_zygote(
    spec: SandboxSpec, control: int, stderr: int, group: ControlGroup | None = None
) -> "subprocess.Popen[bytes]":
    """Start the launcher of a zygote, with everything in it in the control group, if there is one.

    The zygote dies with the thread that started it, so call this from a thread that lives as long as the service.
    Raises OSError.
    """
    start: Callable[..., subprocess.Popen[bytes]] = _start if group is None else partial(_start_in, group)
    with contextlib.ExitStack() as closing:
        filter_fd, filter_end = pipe(closing, closing)
        os.write(filter_end, spec.inherited_filter)
        return start(spec, spec.command(control, filter_fd), (control, filter_fd), stderr)


def _start_in(
    group: ControlGroup, spec: SandboxSpec, command: list[str], inherited: tuple[int, ...], stderr: int
) -> "subprocess.Popen[bytes]":
    """Put the launcher into the group before it starts anything; raises OSError."""
    with contextlib.ExitStack() as closing:
        waiting, go = pipe(closing, closing)
        command = [str(spec.programs.shell), "-c", _WAIT_THEN_RUN, "sh", *command]
        launcher = _start(spec, command, inherited, stderr, stdin=waiting)
        try:
            group.admit(launcher.pid)
        except OSError:
            launcher.kill()
            launcher.wait()
            raise
        os.write(go, b"\n")
    return launcher


def _start(
    spec: SandboxSpec, command: list[str], inherited: tuple[int, ...], stderr: int, stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603  # our own command line
        command,
        stdin=stdin,
        stdout=stderr,  # a pipe as well, as the streams of workers are
        stderr=stderr,
        env={},
        cwd="/",
        user=spec.uid,
        group=spec.uid,
        extra_groups=None if spec.uid is None else [],
        pass_fds=inherited,
        start_new_session=True,
    )


def pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Return the read end and the write end of a new pipe. Each stack closes its end."""
    read_end, write_end = os.pipe()
    reader.callback(os.close, read_end)
    writer.callback(os.close, write_end)
    return read_end, write_end


def pid_of(pid_fd: int) -> int | None:
    """Return the process id in this namespace; None if the process has left the process table."""
    descriptor = os.open(f"/proc/self/fdinfo/{pid_fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fields = dict(line.split(b":", 1) for line in os.read(descriptor, 4096).splitlines())
    finally:
        os.close(descriptor)
    pid = int(fields[b"Pid"])
    return pid if pid > 0 else None


def kill(pid_fd: int) -> None:
    """Kill a process, if it is still there."""
    if pid_fd >= 0:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pid_fd, signal.SIGKILL)
