"""How a worker isolates itself: a fork of the zygote enters a sandbox of its own, which it cannot leave.

It enters new namespaces, a root and a scratch folder of its own. It sets its limits, gives up every right, and filters
its system calls.
"""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import resource
import socket
import struct

from .scope import SCRATCH

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any

WORKER_ROOT = "/worker"
FILES = "/files"
UID = 65534
CHANNEL = 3

# sched.h
NEW_MOUNTS, NEW_CGROUP, NEW_UTS, NEW_IPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x1000_0000, 0x2000_0000, 0x4000_0000
# mount.h
NO_SETUID, NO_DEVICES, NO_PROGRAMS, RECURSIVE, PRIVATE = 2, 4, 8, 0x4000, 0x4_0000
DETACH, READ_ONLY, REMOUNT = 2, 1, 32
# prctl.h, capability.h
SET_FILTER, DROP_FROM_BOUNDING_SET, NO_NEW_PRIVILEGES, MODE_FILTER = 22, 24, 38, 2
CAPABILITIES_VERSION, CAPABILITIES_MAX = 0x2008_0522, 64
# unistd.h: the number on every machine
CLOSE_RANGE, DESCRIPTOR_MAX = 436, 0x7FFF_FFFF

# if.h, sockios.h
UP, SET_FLAGS, SET_ADDRESS, SET_NETMASK = 1, 0x8914, 0x8916, 0x891C

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  # of the worker's own loopback
BACKLOG = 16
BUFFER_SIZES = "4096 16384 65536"
LIMITED, UNLIMITED = b"\1", b"\0"
"""Whether the kernel's memory for connections is limited."""

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
    if "listeners" in order:
        give_listeners(order["listeners"], order.get("addresses", []), descriptors[0])
    take_streams(*descriptors)
    enter_namespaces(setup["scratch"], order.get("hosts"), order.get("files"))
    close_others()
    enter_root()
    limit(order["limits"])
    give_up_rights()
    filter_calls(bytes.fromhex(setup["network_filter" if "listeners" in order else "filter"]))


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


def give_listeners(ports: list[int], addresses: list[str], channel: int) -> None:
    """Listen on the loopback of the new network, and give the listeners to the service as the channel's first message.

    The loopback has these addresses too. Nobody else is in this network, and no script has run yet.
    """
    has_limits = limit_buffers()
    listeners = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in ports]
    for listener, port in zip(listeners, ports, strict=True):
        listener.bind((EVERY_ADDRESS, port))
        listener.listen(BACKLOG)
    if listeners:
        fcntl.ioctl(listeners[0], SET_FLAGS, struct.pack("16sH14x", b"lo", UP))
    for number, address in enumerate(addresses):
        for request, value in ((SET_ADDRESS, address), (SET_NETMASK, "255.255.255.255")):
            place = struct.pack("16sHH4s8x", b"lo:%d" % number, socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(listeners[0], request, place)
    service = socket.socket(fileno=os.dup(channel))
    socket.send_fds(service, [LIMITED if has_limits else UNLIMITED], [each.fileno() for each in listeners])
    for each in (*listeners, service):
        each.close()


def limit_buffers() -> bool:
    """Limit the kernel's memory for each connection of this network; return whether that is possible."""
    try:
        for name in ("tcp_wmem", "tcp_rmem"):
            with open(f"/proc/sys/net/ipv4/{name}", "w") as file:  # noqa: PTH123  # pathlib would be half of the start
                file.write(BUFFER_SIZES)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.ENOENT):
            raise
        return False
    return True


def take_streams(channel: int, stdout: int, stderr: int) -> None:
    # The zygote's own is one open file for all workers. Its flags and owner would let workers signal each other.
    os.dup2(os.open("/proc/self/fd/0", os.O_RDONLY), 0)
    os.dup2(stderr, 2)
    os.dup2(stdout, 1)
    os.dup2(channel, CHANNEL)
    os.set_inheritable(CHANNEL, True)


def enter_namespaces(scratch_options: str, hosts: str | None = None, file_options: str | None = None) -> None:
    """Enter new namespaces, which the zygote's user namespace owns: a worker never has a right over any of them."""
    os.setsid()
    uid, gid = os.getuid(), os.getgid()
    call("unshare", NEW_MOUNTS | NEW_IPC | NEW_UTS | NEW_CGROUP)
    socket.sethostname("sandbox")
    flags = NO_SETUID | NO_DEVICES | NO_PROGRAMS
    call("mount", b"tmpfs", (WORKER_ROOT + SCRATCH).encode(), b"tmpfs", flags, scratch_options.encode())
    if file_options is not None:
        call("mount", b"tmpfs", (WORKER_ROOT + FILES).encode(), b"tmpfs", flags, file_options.encode())
    if hosts is not None:
        name_hosts(hosts, flags)
    process = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    call("umount2", b"/proc", DETACH)
    call("unshare", NEW_USER)
    write("setgroups", "deny", process)
    write("uid_map", f"{UID} {uid} 1", process)
    write("gid_map", f"{UID} {gid} 1", process)
    with contextlib.suppress(PermissionError):  # the service may have a higher score, which cannot be lowered here
        write("oom_score_adj", "500", process)


def name_hosts(hosts: str, flags: int) -> None:
    """Make a folder /etc by which libraries find these hosts, and no others."""
    folder = f"{WORKER_ROOT}/etc".encode()
    call("mount", b"tmpfs", folder, b"tmpfs", flags, b"size=64k,nr_inodes=8,mode=0755")
    for name, text in (("hosts", hosts), ("nsswitch.conf", "hosts: files\n")):
        with open(f"{WORKER_ROOT}/etc/{name}", "w") as file:  # noqa: PTH123  # pathlib would be half of the start
            file.write(text)
    call("mount", None, folder, None, flags | REMOUNT | READ_ONLY, None)


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
