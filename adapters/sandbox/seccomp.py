"""The system call filter of the workers: a classic BPF program that denies what is dangerous (seccomp(2))."""

import errno
import platform
import struct
from collections.abc import Iterator, Mapping

from attrs import frozen

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_JUMP_IF_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

# Offsets in struct seccomp_data; arguments are 64 bits wide, their low half first on both machines.
_NUMBER = 0
_ARCHITECTURE = 4
_ARGUMENT_0 = 16
_ARGUMENT_1 = 24
_ARGUMENT_2 = 32
_HIGH_HALF = 4

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_X32_BIT = 0x40000000

_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET,TIME}
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1
_TIOCSTI = 0x5412
_TIOCLINUX = 0x541C

_SAME_EVERYWHERE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "statmount": 457,
    "listmount": 458,
    "open_tree_attr": 467,
}

_X86_64 = _SAME_EVERYWHERE | {
    "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "semget": 64, "semop": 65, "semctl": 66, "msgget": 68,
    "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "ptrace": 101, "syslog": 103, "uselib": 134, "personality": 135,
    "ustat": 136, "sysfs": 139, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155, "_sysctl": 156,
    "adjtimex": 159, "setrlimit": 160, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166,
    "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172,
    "ioperm": 173, "create_module": 174, "init_module": 175, "delete_module": 176, "quotactl": 179,
    "nfsservctl": 180, "lookup_dcookie": 212, "remap_file_pages": 216, "semtimedop": 220, "clock_settime": 227,
    "mbind": 237, "set_mempolicy": 238, "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249,
    "keyctl": 250, "inotify_init": 253, "inotify_add_watch": 254, "inotify_init1": 294, "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298,
    "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "memfd_create": 319,
    "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip

_AARCH64 = _SAME_EVERYWHERE | {
    "lookup_dcookie": 18, "inotify_init1": 26, "inotify_add_watch": 27, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51,
    "vhangup": 58, "quotactl": 60, "acct": 89, "personality": 92, "unshare": 97, "kexec_load": 104,
    "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116, "ptrace": 117, "reboot": 142,
    "sethostname": 161, "setdomainname": 162, "setrlimit": 164, "settimeofday": 170, "adjtimex": 171, "mq_open": 180,
    "msgget": 186, "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "semget": 190, "semctl": 191, "semtimedop": 192,
    "semop": 193, "shmget": 194, "shmctl": 195, "shmat": 196, "socket": 198, "add_key": 217, "request_key": 218,
    "keyctl": 219, "swapon": 224, "swapoff": 225, "remap_file_pages": 234, "mbind": 235, "set_mempolicy": 237,
    "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "kcmp": 272, "finit_module": 273, "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
}  # fmt: skip


@frozen
class Machine:
    """One architecture: its audit number, the calls to deny, and those whose arguments decide."""

    audit: int
    denied: Mapping[str, int]
    clone: int
    prctl: int
    ioctl: int
    prlimit64: int
    forks: tuple[int, ...]
    has_x32: bool
    clone3: int = 435


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        audit=0xC000003E,
        denied=_X86_64,
        clone=56,
        prctl=157,
        ioctl=16,
        prlimit64=302,
        forks=(57, 58),
        has_x32=True,
    ),
    "aarch64": Machine(
        audit=0xC00000B7,
        denied=_AARCH64,
        clone=220,
        prctl=167,
        ioctl=29,
        prlimit64=261,
        forks=(),
        has_x32=False,
    ),
}


def filter_program(machine_name: str = platform.machine()) -> bytes:
    """Return the filter as an array of `struct sock_filter`; raises KeyError for a machine that has none.

    Dangerous calls fail with EPERM; new processes (not threads) with EAGAIN, so that limits of one process are limits
    of the whole worker; clone3, whose flags no filter can see, with ENOSYS, after which libraries fall back to clone.
    """
    machine = MACHINES[machine_name]
    return b"".join([*_only_own_architecture(machine), *_decided_by_arguments(machine), *_denied(machine), _allow()])


def _only_own_architecture(machine: Machine) -> Iterator[bytes]:
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield _instruction(_JUMP_IF_EQUAL, machine.audit, if_true=1)
    yield _fail(errno.EPERM)
    yield _instruction(_LOAD, _NUMBER)
    if machine.has_x32:
        yield _instruction(_JUMP_IF_AT_LEAST, _X32_BIT, if_false=1)
        yield _fail(errno.EPERM)


def _denied(machine: Machine) -> Iterator[bytes]:
    for number in sorted(machine.denied.values()):
        yield from _fail_call(number, errno.EPERM)
    for number in machine.forks:
        yield from _fail_call(number, errno.EAGAIN)
    yield from _fail_call(machine.clone3, errno.ENOSYS)


def _decided_by_arguments(machine: Machine) -> Iterator[bytes]:
    yield from _when(
        machine.clone,
        [
            _instruction(_LOAD, _ARGUMENT_0),
            _instruction(_JUMP_IF_ANY_BIT, _NEW_NAMESPACES, if_false=1),
            _fail(errno.EPERM),
            _instruction(_JUMP_IF_ANY_BIT, _CLONE_THREAD, if_true=1),
            _fail(errno.EAGAIN),
            _allow(),
        ],
    )
    # A worker that took its parent-death signal back would survive the service.
    yield from _when(machine.prctl, _fail_if_argument(_ARGUMENT_0, _PR_SET_PDEATHSIG))
    yield from _when(machine.ioctl, _fail_if_argument(_ARGUMENT_1, _TIOCSTI, _TIOCLINUX))
    # Limits may be read, not set: the third argument is the new limit.
    yield from _when(
        machine.prlimit64,
        [
            _instruction(_LOAD, _ARGUMENT_2),
            _instruction(_JUMP_IF_EQUAL, 0, if_true=1),
            _fail(errno.EPERM),
            _instruction(_LOAD, _ARGUMENT_2 + _HIGH_HALF),
            _instruction(_JUMP_IF_EQUAL, 0, if_true=1),
            _fail(errno.EPERM),
            _allow(),
        ],
    )


def _when(number: int, body: list[bytes]) -> Iterator[bytes]:
    """Run `body`, which always returns, for this call only; afterwards the call's number is still loaded."""
    yield _instruction(_JUMP_IF_EQUAL, number, if_false=len(body))
    yield from body


def _fail_call(number: int, error: int) -> Iterator[bytes]:
    yield from _when(number, [_fail(error)])


def _fail_if_argument(argument: int, *values: int) -> list[bytes]:
    body = [_instruction(_LOAD, argument)]
    for value in values:
        body += [_instruction(_JUMP_IF_EQUAL, value, if_false=1), _fail(errno.EPERM)]
    return [*body, _allow()]


def _allow() -> bytes:
    return _instruction(_RETURN, _ALLOW)


def _fail(error: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | error)


def _instruction(code: int, operand: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
