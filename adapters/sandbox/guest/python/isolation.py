"""How a worker isolates itself: a fork of the zygote enters a sandbox of its own, which it cannot leave.

It enters new namespaces, a root and a scratch folder of its own. It sets its limits, gives up every right, and filters
its system calls.
"""

# ruff: noqa: D103  # functions of one program, which names explain
# ruff: noqa: PTH208  # pathlib would be half of the start

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import socket

from .scope import SCRATCH

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any

WORKER_ROOT = "/worker"
UID = 65534
CHANNEL = 3

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


def isolate(setup: dict[str, Any], order: dict[str, Any], descriptors: list[int]) -> None:
    schedule(order["processors"])
    take_descriptors(*descriptors)
    enter_namespaces()
    enter_root(setup["scratch"])
    limit(order["limits"])
    give_up_rights()
    filter_calls(bytes.fromhex(setup["filter"]))


def schedule(processors: list[int]) -> None:
    with contextlib.suppress(OSError):  # a processor may have been taken offline
        os.sched_setaffinity(0, processors)
    # A worker that wakes up must not interrupt the service, which has more to send or sleeps soon.
    with contextlib.suppress(OSError):  # a service in SCHED_IDLE leaves it only within its user's limits
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def take_descriptors(channel: int, stdout: int, stderr: int) -> None:
    """Keep the streams and the channel, and close everything else."""
    # The zygote's own is one open file for all workers. Its flags and owner would let workers signal each other.
    os.dup2(os.open("/proc/self/fd/0", os.O_RDONLY), 0)
    os.dup2(stderr, 2)
    os.dup2(stdout, 1)
    os.dup2(channel, CHANNEL)
    os.set_inheritable(CHANNEL, True)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > CHANNEL:
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                os.close(int(name))


def enter_namespaces() -> None:
    os.setsid()
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEW_USER | NEW_MOUNTS | NEW_NETWORK | NEW_IPC | NEW_UTS | NEW_CGROUP)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{UID} {uid} 1")
    write("/proc/self/gid_map", f"{UID} {gid} 1")
    refuse_user_namespaces()
    with contextlib.suppress(PermissionError):  # the service may have a higher score, which cannot be lowered here
        write("/proc/self/oom_score_adj", "500")
    socket.sethostname("sandbox")


def refuse_user_namespaces() -> None:
    try:
        write("/proc/sys/user/max_user_namespaces", "0")
    except OSError as error:
        # In many containers the file is read-only. Then the filter alone refuses the calls that make a namespace.
        if error.errno != errno.EROFS:
            raise


def write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def enter_root(scratch_options: str) -> None:
    """Make the folder of the worker's files the root, and leave everything above it."""
    call("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    flags = NO_SETUID | NO_DEVICES | NO_PROGRAMS
    call("mount", b"tmpfs", (WORKER_ROOT + SCRATCH).encode(), b"tmpfs", flags, scratch_options.encode())
    call("mount", WORKER_ROOT.encode(), WORKER_ROOT.encode(), None, BIND | RECURSIVE, None)
    os.chdir(WORKER_ROOT)
    call("pivot_root", b".", b".")
    call("umount2", b".", DETACH)
    os.chdir(SCRATCH)


def limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}")
        _, hard = resource.getrlimit(number)
        # The service may have been started with a lower limit, which a worker cannot raise.
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (lowest, lowest))


def give_up_rights() -> None:
    for capability in range(CAPABILITIES_MAX):
        if libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) < 0:
            break  # the kernel has no more
    call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0), (ctypes.c_uint32 * 6)()
    call("capset", header, none)


def filter_calls(instructions: bytes) -> None:
    program = FilterProgram(len(instructions) // 8, instructions)
    call("prctl", SET_FILTER, MODE_FILTER, ctypes.byref(program), 0, 0)
