"""The system call filters of the workers, which deny what is dangerous (seccomp(2)).

There are two. bubblewrap gives a zygote the inherited one before it runs, and each fork has it too. It denies what
neither a zygote nor the start of a worker needs. A worker adds its own filter last. That one denies the calls of a
start, and those that only a worker with access to a network would need: filters can be added, never relaxed. The
kernel follows the strictest filter, so the two together deny what one filter with all rules would. The kernel runs a
new filter once for every call number, so the filter that each worker adds is short.
"""

import errno
import platform
from collections.abc import Iterable, Iterator

from adapters.sandbox.isolation.bpf import (
    ARCHITECTURE,
    ARGUMENT_0,
    ARGUMENT_1,
    ARGUMENT_2,
    ARGUMENT_3,
    ARGUMENT_5,
    HIGH_HALF,
    JUMP_IF_ANY_BIT,
    JUMP_IF_AT_LEAST,
    JUMP_IF_EQUAL,
    LOAD,
    NUMBER,
    allow,
    decide_argument,
    do_nothing,
    fail,
    fail_if_any_bit,
    fail_unless,
    instruction,
    when,
)
from adapters.sandbox.isolation.system_calls import FIRST_UNKNOWN, MACHINES, Machine

_X32_BIT = 0x40000000

_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET,TIME}
_CLONE_FILES, _CLONE_THREAD = 0x00000400, 0x00010000
_CLOSE_RANGE_UNSHARE = 2
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SCHED_CORE = 1, 22, 62
_PR_FIRST_UNKNOWN = 67
"""The first option of prctl that was not reviewed. Names of mappings and the options of Yama lie above it too."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_F_SETLK, _F_SETLKW, _F_OFD_SETLK, _F_OFD_SETLKW = 6, 7, 37, 38
_F_SETLEASE, _F_NOTIFY, _F_SETPIPE_SZ, _F_SETDELEG = 1024, 1026, 1031, 1040
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_MSG_OOB, _MSG_FASTOPEN = 1, 0x2000_0000
_SOCK_TYPES, _SOCK_STREAM, _PROTOCOLS = 0xF, 1, (0, 6)
_SOCK_DATAGRAM = 2
"""A bit of SOCK_DGRAM and SOCK_RAW that SOCK_STREAM and SOCK_SEQPACKET do not have."""
_SOL_SOCKET = 1
_SO_SNDBUF, _SO_RCVBUF = 7, 8
_SO_ATTACH_FILTER, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE, _SO_LOCK_FILTER = 26, 32, 33, 44
_SO_ATTACH_BPF, _SO_ATTACH_REUSEPORT_CBPF, _SO_ATTACH_REUSEPORT_EBPF, _SO_RESERVE_MEM = 50, 51, 52, 73
_OPTIONS_OF_CLIENTS = {
    _SOL_SOCKET: (2, 9),  # SO_REUSEADDR, SO_KEEPALIVE
    0: (1,),  # IP_TOS, which Node.js sets
    6: (1, 4, 5, 6, 18),  # TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT
}
_FILTERS_OF_SOCKETS = (_SO_ATTACH_FILTER, _SO_ATTACH_BPF, _SO_ATTACH_REUSEPORT_CBPF, _SO_ATTACH_REUSEPORT_EBPF)
_EXECUTES = {"x86_64": (59, 322), "aarch64": (221, 281)}
"""The numbers of execve and execveat."""
_MAP_HUGETLB = 0x40000
_ANY_BIT = 0xFFFF_FFFF
_MADV_DONTFORK, _MADV_MERGEABLE, _MADV_COLD, _MADV_PAGEOUT = 10, 12, 20, 21
_SIGKILL, _SIGTERM, _SIGSTOP = 9, 15, 19
_MEMBARRIER_GLOBAL, _MEMBARRIER_GLOBAL_EXPEDITED, _MEMBARRIER_REGISTER_GLOBAL_EXPEDITED = 1, 2, 4

_Rule = tuple[int, list[bytes]]
"""The number of a call, and instructions that always return."""


def inherited_filter(machine_name: str = platform.machine(), *, ignores_dontfork: bool = False) -> bytes:
    """Return the filter of a zygote, which all its workers inherit; raises KeyError for a machine that has none.

    Both filters are arrays of `struct sock_filter`. With `ignores_dontfork`, madvise(MADV_DONTFORK) succeeds without
    effect: V8 would keep parts of its memory from forks, which could not run without them.
    """
    machine = MACHINES[machine_name]
    rules = [*_rules(machine), _advice_on_memory(machine, ignored=[_MADV_DONTFORK] if ignores_dontfork else [])]
    return _program(machine, (rule for rule in rules if rule[0] not in machine.late))


def worker_filter(machine_name: str = platform.machine()) -> bytes:
    """Return the filter that each worker adds at the end of its start; raises KeyError for a machine that has none.

    - Dangerous calls fail with EPERM.
    - New processes (not threads) fail with EAGAIN, so that the limits of one process are those of the whole worker.
    - clone3, whose flags no filter can see, and calls newer than this list fail with ENOSYS. Libraries then use older
      calls.
    """
    machine = MACHINES[machine_name]
    return _program(machine, (rule for rule in _rules(machine) if rule[0] in machine.late))


def network_filter(machine_name: str = platform.machine()) -> bytes:
    """Return what a worker with a network adds in place of `worker_filter`; raises KeyError.

    Its network is a loopback of its own, on which it may connect TCP sockets of IPv4, and do nothing else.
    """
    machine = MACHINES[machine_name]
    rules = {number: body for number, body in _rules(machine) if number in machine.late}
    return _program(machine, (rules | dict(_network_rules(machine))).items())


def egress_filter(machine_name: str = platform.machine()) -> bytes:
    """Return what the egress process adds at its start; raises KeyError.

    It may have TCP and UDP sockets of IP, to connect and to resolve names. It starts no program and no process.
    """
    machine = MACHINES[machine_name]
    rules = dict(_rules(machine)) | {machine.madvise: [allow()]}
    for name in ("sendmsg", "sendmmsg"):  # by which names are resolved
        rules[machine.denied[name]] = [allow()]
    rules[machine.setsockopt] = decide_argument(ARGUMENT_2, _FILTERS_OF_SOCKETS)
    rules[machine.denied["socket"]] = [
        *fail_unless(ARGUMENT_0, [_AF_INET, _AF_INET6], errno.EPERM),
        *fail_unless(ARGUMENT_1, [_SOCK_STREAM, _SOCK_DATAGRAM], errno.EPERM, mask=_SOCK_TYPES),
        allow(),
    ]
    rules |= {number: [fail(errno.EPERM)] for number in _EXECUTES[machine_name]}
    return _program(machine, rules.items())


def _network_rules(machine: Machine) -> Iterator[_Rule]:
    yield (
        machine.denied["socket"],
        [
            *fail_unless(ARGUMENT_0, [_AF_INET], errno.EPERM),
            *fail_unless(ARGUMENT_1, [_SOCK_STREAM], errno.EPERM, mask=_SOCK_TYPES),
            *fail_unless(ARGUMENT_2, _PROTOCOLS, errno.EPERM),
            allow(),
        ],
    )
    yield machine.setsockopt, _decide_option_of_client()
    yield machine.sendto, fail_if_any_bit(ARGUMENT_3, _MSG_OOB | _MSG_FASTOPEN, errno.EPERM)


def _decide_option_of_client() -> list[bytes]:
    """Make the options that clients need. The sizes of buffers stay, and a program that sets one continues."""
    idle = [(_SO_SNDBUF, do_nothing()), (_SO_RCVBUF, do_nothing())]
    decided = [instruction(LOAD, ARGUMENT_1)]
    for level, names in _OPTIONS_OF_CLIENTS.items():
        body = [instruction(LOAD, ARGUMENT_2)]
        for name, verdict in [*((name, allow()) for name in names), *(idle if level == _SOL_SOCKET else ())]:
            body += [instruction(JUMP_IF_EQUAL, name, if_false=1), verdict]
        decided += when(level, [*body, fail(errno.ENOPROTOOPT)])
    return [*decided, fail(errno.ENOPROTOOPT)]


def _program(machine: Machine, rules: Iterable[_Rule]) -> bytes:
    decided = [instruction for number, body in rules for instruction in when(number, body)]
    return b"".join([*_only_own_architecture(machine), *decided, allow()])


def _only_own_architecture(machine: Machine) -> Iterator[bytes]:
    yield instruction(LOAD, ARCHITECTURE)
    yield instruction(JUMP_IF_EQUAL, machine.audit, if_true=1)
    yield fail(errno.EPERM)
    yield instruction(LOAD, NUMBER)
    if machine.has_x32:
        yield instruction(JUMP_IF_AT_LEAST, _X32_BIT, if_false=1)
        yield fail(errno.EPERM)
    yield instruction(JUMP_IF_AT_LEAST, FIRST_UNKNOWN, if_false=1)
    yield fail(errno.ENOSYS)


def _rules(machine: Machine) -> Iterator[_Rule]:
    """Yield each call but madvise that is not simply allowed, once, and what decides about it."""
    yield from _decided_by_arguments(machine)
    yield from ((number, [fail(errno.EPERM)]) for number in sorted(machine.denied.values()))
    yield from ((number, [do_nothing()]) for number in sorted(machine.idle.values()))
    yield from ((number, [fail(errno.EAGAIN)]) for number in machine.forks)
    yield machine.clone3, [fail(errno.ENOSYS)]


def _advice_on_memory(machine: Machine, ignored: Iterable[int]) -> _Rule:
    """Leave pages where they are: pages that the kernel merges, and files that it drops, show in other sessions."""
    return machine.madvise, decide_argument(ARGUMENT_2, [_MADV_MERGEABLE, _MADV_COLD, _MADV_PAGEOUT], idle=ignored)


def _decided_by_arguments(machine: Machine) -> Iterator[_Rule]:
    yield (
        machine.clone,
        [
            instruction(LOAD, ARGUMENT_0),
            instruction(JUMP_IF_ANY_BIT, _NEW_NAMESPACES, if_false=1),
            fail(errno.EPERM),
            instruction(JUMP_IF_ANY_BIT, _CLONE_THREAD, if_true=1),
            fail(errno.EAGAIN),
            # The limit of open files counts for each table: a thread with one of its own would have as many again.
            instruction(JUMP_IF_ANY_BIT, _CLONE_FILES, if_true=1),
            fail(errno.EAGAIN),
            allow(),
        ],
    )
    yield machine.close_range, fail_if_any_bit(ARGUMENT_2, _CLOSE_RANGE_UNSHARE, errno.EPERM)
    # A worker that took its parent-death signal back would survive the service; filters are code in the kernel; with a
    # core that it does not share, a worker would have two processors for one.
    denied = [_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SCHED_CORE]
    # Options that are newer do not exist here: one of them (PR_FUTEX_HASH) takes gigabytes of kernel memory at once.
    newer = [instruction(JUMP_IF_AT_LEAST, _PR_FIRST_UNKNOWN, if_false=1), fail(errno.EINVAL)]
    yield machine.prctl, decide_argument(ARGUMENT_0, denied, more=newer)
    yield machine.ioctl, decide_argument(ARGUMENT_1, [_TIOCSTI, _TIOCLINUX])
    # Notifications and leases reveal files that others open. Large pipes, and locks of parts of files, are memory that
    # no limit counts. Such locks are reported as granted: they cannot conflict, as no other process has the files.
    denied = [_F_OFD_SETLK, _F_OFD_SETLKW, _F_SETLEASE, _F_NOTIFY, _F_SETPIPE_SZ, _F_SETDELEG]
    yield machine.fcntl, decide_argument(ARGUMENT_1, denied, idle=[_F_SETLK, _F_SETLKW])
    # For any other family the kernel would load a module. A socket for datagrams would hold what many others sent that
    # have been closed: ten times what a stream holds.
    yield (
        machine.socketpair,
        [
            instruction(LOAD, ARGUMENT_0),
            instruction(JUMP_IF_EQUAL, _AF_UNIX, if_true=1),
            fail(errno.EPERM),
            *fail_if_any_bit(ARGUMENT_1, _SOCK_DATAGRAM, errno.EPERM),
        ],
    )
    yield machine.setsockopt, _decide_socket_option()
    # Out-of-band data has led out of other sandboxes (CVE-2025-38236), and no program here reads it.
    yield machine.sendto, fail_if_any_bit(ARGUMENT_3, _MSG_OOB, errno.EPERM)
    # The host's huge pages are reserved for other programs, and no limit counts them.
    yield machine.mmap, fail_if_any_bit(ARGUMENT_3, _MAP_HUGETLB, errno.ENOMEM)
    # With RWF_NOWAIT a read tells which files are in the page cache, and so what other sessions import.
    yield machine.preadv2, fail_if_any_bit(ARGUMENT_5, _ANY_BIT, errno.EOPNOTSUPP)
    # These interrupt the processors of other processes.
    denied = [_MEMBARRIER_GLOBAL, _MEMBARRIER_GLOBAL_EXPEDITED, _MEMBARRIER_REGISTER_GLOBAL_EXPEDITED]
    yield machine.membarrier, decide_argument(ARGUMENT_0, denied)
    # The kernel ignores these from the first process of a namespace: a script that ends itself by one would succeed.
    fatal = [_SIGKILL, _SIGTERM, _SIGSTOP]
    yield machine.kill, decide_argument(ARGUMENT_1, fatal)
    yield machine.tgkill, decide_argument(ARGUMENT_2, fatal)
    # Limits may be read, not set: the third argument is the new limit.
    yield (
        machine.prlimit64,
        [
            instruction(LOAD, ARGUMENT_2),
            instruction(JUMP_IF_EQUAL, 0, if_true=1),
            fail(errno.EPERM),
            instruction(LOAD, ARGUMENT_2 + HIGH_HALF),
            instruction(JUMP_IF_EQUAL, 0, if_true=1),
            fail(errno.EPERM),
            allow(),
        ],
    )


def _decide_socket_option() -> list[bytes]:
    """Leave buffers at their default size, since no limit counts them. A program that sets one continues as if it had.

    Filters are code in the kernel, and no limit counts reserved memory either.
    """
    denied = [_SO_ATTACH_FILTER, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE, _SO_LOCK_FILTER]
    denied += [_SO_ATTACH_BPF, _SO_ATTACH_REUSEPORT_CBPF, _SO_ATTACH_REUSEPORT_EBPF, _SO_RESERVE_MEM]
    decided = decide_argument(ARGUMENT_2, denied, idle=[_SO_SNDBUF, _SO_RCVBUF])
    return [
        instruction(LOAD, ARGUMENT_1),
        instruction(JUMP_IF_EQUAL, _SOL_SOCKET, if_true=1),
        allow(),
        *decided,
    ]
