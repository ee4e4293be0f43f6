"""How a worker isolates itself: a fork of the zygote enters a sandbox of its own, which it cannot leave.

It enters new namespaces, a root and a scratch folder of its own. It sets its limits, gives up every right, and filters
its system calls.
"""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import contextlib
import ctypes
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
NO_SETUID, NO_DEVICES, NO_PROGRAMS, RECURSIVE, PRIVATE = 2, 4, 8, 0x4000, 0x4_0000
DETACH = 2
# prctl.h, capability.h
SET_FILTER, DROP_FROM_BOUNDING_SET, NO_NEW_PRIVILEGES, MODE_FILTER = 22, 24, 38, 2
CAPABILITIES_VERSION, CAPABILITIES_MAX = 0x2008_0522, 64
# unistd.h: the number on every machine
CLOSE_RANGE, DESCRIPTOR_MAX = 436, 0x7FFF_FFFF

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
    enter_network(order["network"])
    take_streams(*descriptors)
    enter_namespaces(setup["scratch"])
    close_others()
    enter_root()
    limit(order["limits"])
    give_up_rights()
    filter_calls(bytes.fromhex(setup["filter"]))


def schedule(processors: list[int]) -> None:
    with contextlib.suppress(OSError):  # a processor may have been taken offline
        os.sched_setaffinity(0, processors)
    # A worker that wakes up must not interrupt the service, which has more to send or sleeps soon.
    with contextlib.suppress(OSError):  # a service in SCHED_IDLE leaves it only within its user's limits
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def enter_network(network: int | None) -> None:
    """Enter the network namespace of this descriptor, or a new one."""
    if network is None:
        call("unshare", NEW_NETWORK)
    else:
        call("setns", network, NEW_NETWORK)


def take_streams(channel: int, stdout: int, stderr: int) -> None:
    # The zygote's own is one open file for all workers. Its flags and owner would let workers signal each other.
    os.dup2(os.open("/proc/self/fd/0", os.O_RDONLY), 0)
    os.dup2(stderr, 2)
    os.dup2(stdout, 1)
    os.dup2(channel, CHANNEL)
    os.set_inheritable(CHANNEL, True)


def enter_namespaces(scratch_options: str) -> None:
    """Enter new namespaces, which the zygote's user namespace owns: a worker never has a right over any of them."""
    os.setsid()
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEW_MOUNTS | NEW_IPC | NEW_UTS | NEW_CGROUP)
    socket.sethostname("sandbox")
    flags = NO_SETUID | NO_DEVICES | NO_PROGRAMS
    call("mount", b"tmpfs", (WORKER_ROOT + SCRATCH).encode(), b"tmpfs", flags, scratch_options.encode())
    process = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    call("umount2", b"/proc", DETACH)
    call("unshare", NEW_USER)
    write("setgroups", "deny", process)
    write("uid_map", f"{UID} {uid} 1", process)
    write("gid_map", f"{UID} {gid} 1", process)
    with contextlib.suppress(PermissionError):  # the service may have a higher score, which cannot be lowered here
        write("oom_score_adj", "500", process)


def write(name: str, text: str, folder: int) -> None:
    descriptor = os.open(name, os.O_WRONLY, dir_fd=folder)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def close_others() -> None:
    """Close every descriptor but the streams and the channel."""
    # Python's own closerange may have been built without the call, and would then close a million numbers one by one.
    call("syscall", CLOSE_RANGE, CHANNEL + 1, DESCRIPTOR_MAX, 0)


def enter_root() -> None:
    """Make the folder of the worker's files the root.

    Only a capability leads out of it, or a descriptor of a folder outside. The worker gives up the one and has none of
    the other. The kernel lets no process make a user namespace, and so regain capabilities, whose root is not that of
    its mount namespace.
    """
    call("chroot", WORKER_ROOT.encode())
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
