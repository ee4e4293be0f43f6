"""Keeps a room: for each order it forks a worker off itself and locks it up in a sandbox of its own.

It is the room's first process and never runs a script. A worker is a fork that has entered new namespaces, a root and
a scratch folder of its own, and limits, that has given up every right and put a filter before its system calls: then
it goes on as an interpreter that has just started, or becomes another program.
"""

# ruff: noqa: D103  # a program with its explanations in place, imported by nobody
# ruff: noqa: S606  # what is started is what the service has said
# ruff: noqa: PTH123, PTH208  # pathlib would be half of the start

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import os
import resource
import select
import socket
import sys
import types

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any

MESSAGE_SIZE_MAX = 65_536
ROOM = "/room"
SCRATCH = "/tmp"  # noqa: S108  # the sandbox's own
UID = 65534
CHANNEL = 3
KILL = 9

# sched.h
NEW_MOUNTS, NEW_CGROUP, NEW_UTS, NEW_IPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x1000_0000, 0x2000_0000, 0x4000_0000
# mount.h
NO_SETUID, NO_DEVICES, NO_PROGRAMS, BIND, RECURSIVE, PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x4_0000
DETACH = 2
# prctl.h, capability.h
SET_FILTER, DROP_FROM_BOUNDING_SET, NO_NEW_PRIVILEGES, MODE_FILTER = 22, 24, 38, 2
CAPABILITIES_VERSION, CAPABILITIES_MAX = 0x2008_0522, 64

libc = ctypes.CDLL(None, use_errno=True)


class FilterProgram(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("size", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def call(name: str, *arguments: Any) -> None:
    """Call a function of the C library; raises OSError."""
    if getattr(libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} failed: {os.strerror(number)}")


class ForkServer:
    """Takes orders, and tells of each worker when it starts and when it has ended."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.own = os.pidfd_open(os.getpid())
        self.workers: dict[int, tuple[int, int]] = {}
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)

    def serve(self) -> tuple[dict[str, Any], list[int]]:
        """Return, in a new worker only, its order and its descriptors."""
        while True:
            for descriptor, _ in self.poll.poll():
                if descriptor != self.control.fileno():
                    self.collect(descriptor)
                elif (taken := self.take()) is not None:
                    return taken

    def say(self, message: dict[str, Any], *descriptors: int) -> None:
        try:
            socket.send_fds(self.control, [json.dumps(message).encode()], descriptors)
        except ConnectionError:
            os._exit(0)  # the service has gone

    def take(self) -> tuple[dict[str, Any], list[int]] | None:
        message, descriptors, _, _ = socket.recv_fds(self.control, MESSAGE_SIZE_MAX, 3)
        if not message:
            os._exit(0)  # the service has gone, and with this process all workers
        order = json.loads(message)
        try:
            pid = self.fork()
            if pid == 0:
                return order, descriptors
            self.watch(order["id"], pid)
        except OSError as error:
            self.say({"id": order["id"], "failed": str(error)})
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def fork(self) -> int:
        """Fork a process that is the first of its own namespace."""
        call("unshare", NEW_PROCESSES)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                call("setns", self.own, NEW_PROCESSES)
        return pid

    def watch(self, number: int, pid: int) -> None:
        """Tell of a worker; one that cannot be told of is ended, and raises OSError."""
        worker = -1
        try:
            worker = os.pidfd_open(pid)
            self.say({"id": number}, worker)
        except OSError:
            os.kill(pid, KILL)
            os.waitpid(pid, 0)
            if worker >= 0:
                os.close(worker)
            raise
        self.workers[worker] = (number, pid)
        self.poll.register(worker, select.POLLIN)

    def collect(self, worker: int) -> None:
        number, pid = self.workers.pop(worker)
        self.poll.unregister(worker)
        os.close(worker)
        _, status, used = os.wait4(pid, 0)
        peak = used.ru_maxrss * 1024
        self.say({"id": number, "status": os.waitstatus_to_exitcode(status), "memory_bytes": peak})


# What a worker does to itself.


def schedule(processors: list[int]) -> None:
    with contextlib.suppress(OSError):  # one that has been taken offline
        os.sched_setaffinity(0, processors)
    # So that no worker interrupts the service by waking up: it has more to send, or goes to sleep by itself.
    with contextlib.suppress(OSError):  # where the service is SCHED_IDLE, which only its user's limits let go
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def take_descriptors(channel: int, stdout: int, stderr: int) -> None:
    """Keep nothing but the streams and the channel."""
    # Opened anew: the keeper's own is one open file for all workers, and its flags and owner tell each of the others.
    os.dup2(os.open("/proc/self/fd/0", os.O_RDONLY), 0)
    os.dup2(stderr, 2)
    os.dup2(stdout, 1)
    os.dup2(channel, CHANNEL)
    os.set_inheritable(CHANNEL, True)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > CHANNEL:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(name))


def enter_namespaces() -> None:
    os.setsid()
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEW_USER | NEW_MOUNTS | NEW_NETWORK | NEW_IPC | NEW_UTS | NEW_CGROUP)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{UID} {uid} 1")
    write("/proc/self/gid_map", f"{UID} {gid} 1")
    refuse_user_namespaces()
    with contextlib.suppress(PermissionError):  # where the service itself is to go sooner
        write("/proc/self/oom_score_adj", "500")
    socket.sethostname("sandbox")


def refuse_user_namespaces() -> None:
    try:
        write("/proc/sys/user/max_user_namespaces", "0")
    except OSError as error:
        # In many containers this is read-only; then the filter alone refuses every call that makes one.
        if error.errno != errno.EROFS:
            raise


def write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def enter_root(scratch_options: str) -> None:
    """Make the room's inner folder the root, and leave everything above it."""
    call("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    flags = NO_SETUID | NO_DEVICES | NO_PROGRAMS
    call("mount", b"tmpfs", (ROOM + SCRATCH).encode(), b"tmpfs", flags, scratch_options.encode())
    call("mount", ROOM.encode(), ROOM.encode(), None, BIND | RECURSIVE, None)
    os.chdir(ROOM)
    call("pivot_root", b".", b".")
    call("umount2", b".", DETACH)
    os.chdir(SCRATCH)


def limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}")
        _, hard = resource.getrlimit(number)
        # Whoever started the service may have lowered it further, and nobody here can raise it.
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (lowest, lowest))


def give_up_rights() -> None:
    for capability in range(CAPABILITIES_MAX):
        if libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) < 0:
            break  # beyond the last
    call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0), (ctypes.c_uint32 * 6)()
    call("capset", header, none)


def filter_calls(instructions: bytes) -> None:
    program = FilterProgram(len(instructions) // 8, instructions)
    call("prctl", SET_FILTER, MODE_FILTER, ctypes.byref(program), 0, 0)


def lock_up(setup: dict[str, Any], order: dict[str, Any], descriptors: list[int]) -> None:
    schedule(order["processors"])
    take_descriptors(*descriptors)
    enter_namespaces()
    enter_root(setup["scratch"])
    limit(order["limits"])
    give_up_rights()
    filter_calls(bytes.fromhex(setup["filter"]))


def prepared(path: str) -> types.ModuleType:
    """Return the program of the workers as a module, under the path that it has in their root."""
    program = types.ModuleType("__main__")
    program.__file__ = path
    with open(ROOM + path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    program.__dict__["__name__"] = "worker"
    exec(code, program.__dict__)  # noqa: S102  # our own
    program.prepare()
    return program


def main() -> types.ModuleType:
    """Return, in a new worker only, the program that it is to be."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    setup = json.loads(control.recv(MESSAGE_SIZE_MAX))
    program = prepared(setup["program"]) if setup["program"] else None
    keeper = ForkServer(control)
    # What is here now is shared with every worker, as long as neither collects garbage in it.
    gc.collect()
    gc.freeze()
    keeper.say({"ready": True}, keeper.own)
    order, descriptors = keeper.serve()
    # Its number may be another's soon.
    control.detach()
    try:
        lock_up(setup, order, descriptors)
        if program is None:
            os.execve(order["command"][0], order["command"], {})
    except BaseException as error:  # noqa: BLE001  # whatever it is, this is no worker
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    sys.modules["__main__"] = program
    return program


if __name__ == "__main__":
    # From here, so that no frame below the script holds what the keeper knows of other workers.
    main().main(CHANNEL)
