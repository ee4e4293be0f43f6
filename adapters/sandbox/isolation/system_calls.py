"""System calls by number on each machine: those that are denied, and those that do nothing."""

from collections.abc import Collection, Mapping

from attrs import frozen

FIRST_UNKNOWN = 470
"""The number of the first call that was not reviewed: those of Linux 6.18 end before it."""

_NEEDED_BY_STARTS = (
    "unshare", "setns", "mount", "umount2", "chroot", "sethostname", "sched_setaffinity", "sched_setscheduler",
    "sendmsg", "pidfd_open",
)  # fmt: skip
"""Denied calls that a zygote makes, or a fork of it before it is a worker."""
_NEEDED_BY_NETWORKS = ("socket", "bind", "listen", "sendmsg")
"""Denied calls that a worker with access to a network would make."""

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
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
    "memfd_secret": 447,
    "cachestat": 451,
    "statmount": 457,
    "listmount": 458,
    "open_tree_attr": 467,
}

_X86_64 = _SAME_EVERYWHERE | {
    "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "sendmsg": 46, "bind": 49, "listen": 50, "semget": 64,
    "semop": 65, "semctl": 66, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "ptrace": 101, "syslog": 103,
    "uselib": 134, "personality": 135, "ustat": 136, "sysfs": 139, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155,
    "_sysctl": 156, "adjtimex": 159, "setrlimit": 160, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165,
    "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171,
    "iopl": 172, "ioperm": 173, "create_module": 174, "init_module": 175, "delete_module": 176, "quotactl": 179,
    "nfsservctl": 180, "io_setup": 206, "io_destroy": 207, "io_getevents": 208, "io_submit": 209, "io_cancel": 210,
    "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "sched_setattr": 314,
    "lookup_dcookie": 212, "remap_file_pages": 216, "semtimedop": 220, "clock_settime": 227, "mbind": 237,
    "set_mempolicy": 238, "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "inotify_init": 253, "inotify_add_watch": 254, "migrate_pages": 256, "unshare": 272, "splice": 275,
    "tee": 276, "vmsplice": 278, "move_pages": 279, "inotify_init1": 294, "perf_event_open": 298,
    "fanotify_init": 300, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "clock_adjtime": 305, "sendmmsg": 307, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "seccomp": 317, "memfd_create": 319,
    "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "io_pgetevents": 333,
    "mincore": 27, "setpriority": 141, "timer_create": 222, "ioprio_set": 251,
}  # fmt: skip

_AARCH64 = _SAME_EVERYWHERE | {
    "io_setup": 0, "io_destroy": 1, "io_submit": 2, "io_cancel": 3, "io_getevents": 4, "lookup_dcookie": 18,
    "inotify_init1": 26, "inotify_add_watch": 27, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42,
    "chroot": 51, "vhangup": 58, "quotactl": 60, "vmsplice": 75, "splice": 76, "tee": 77, "acct": 89,
    "personality": 92, "unshare": 97,
    "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116, "ptrace": 117,
    "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122, "sched_setattr": 274,
    "reboot": 142, "sethostname": 161, "setdomainname": 162, "setrlimit": 164, "settimeofday": 170, "adjtimex": 171,
    "mq_open": 180, "msgget": 186, "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "semget": 190, "semctl": 191,
    "semtimedop": 192, "semop": 193, "shmget": 194, "shmctl": 195, "shmat": 196, "socket": 198, "bind": 200,
    "listen": 201, "sendmsg": 211,
    "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225, "remap_file_pages": 234,
    "mbind": 235, "set_mempolicy": 237, "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241,
    "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268,
    "sendmmsg": 269, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273,
    "seccomp": 277, "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "io_pgetevents": 292, "kexec_file_load": 294,
    "ioprio_set": 30, "timer_create": 107, "setpriority": 140, "mincore": 232,
}  # fmt: skip


@frozen
class Machine:
    """One architecture: its audit number, denied calls, calls that do nothing, and calls whose arguments decide.

    The `idle` ones succeed without effect. Some write to disks, on which no script has files: each would make the
    host's disk flush its cache. The others lock, load or drop files of the host, which other sessions would see.
    """

    audit: int
    denied: Mapping[str, int]
    idle: Mapping[str, int]
    clone: int
    prctl: int
    ioctl: int
    fcntl: int
    mmap: int
    socketpair: int
    setsockopt: int
    sendto: int
    prlimit64: int
    madvise: int
    preadv2: int
    membarrier: int
    kill: int
    tgkill: int
    forks: tuple[int, ...]
    has_x32: bool
    clone3: int = 435
    close_range: int = 436

    @property
    def late(self) -> Collection[int]:
        """The numbers of the calls that the worker's own filter decides about, and the inherited one allows."""
        names = {*_NEEDED_BY_STARTS, *_NEEDED_BY_NETWORKS}
        return {
            *(self.denied[name] for name in names),
            *self.forks,
            self.clone,
            self.prctl,
            self.prlimit64,
            self.setsockopt,
            self.kill,
            self.tgkill,
        }

    @property
    def decided(self) -> Mapping[str, int]:
        """The numbers of calls that their arguments decide about, or that do not exist."""
        names = (
            "clone", "clone3", "close_range", "prctl", "ioctl", "fcntl", "mmap", "socketpair", "setsockopt", "sendto",
            "prlimit64", "madvise", "preadv2", "membarrier", "kill", "tgkill",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        audit=0xC000003E,
        denied=_X86_64,
        idle={
            "msync": 26,
            "flock": 73,
            "fsync": 74,
            "fdatasync": 75,
            "sync": 162,
            "readahead": 187,
            "fadvise64": 221,
            "sync_file_range": 277,
            "syncfs": 306,
        },
        clone=56,
        prctl=157,
        ioctl=16,
        fcntl=72,
        mmap=9,
        socketpair=53,
        setsockopt=54,
        sendto=44,
        prlimit64=302,
        madvise=28,
        preadv2=327,
        membarrier=324,
        kill=62,
        tgkill=234,
        forks=(57, 58),
        has_x32=True,
    ),
    "aarch64": Machine(
        audit=0xC00000B7,
        denied=_AARCH64,
        idle={
            "flock": 32,
            "sync": 81,
            "fsync": 82,
            "fdatasync": 83,
            "sync_file_range": 84,
            "readahead": 213,
            "fadvise64": 223,
            "msync": 227,
            "syncfs": 267,
        },
        clone=220,
        prctl=167,
        ioctl=29,
        fcntl=25,
        mmap=222,
        socketpair=199,
        setsockopt=208,
        sendto=206,
        prlimit64=261,
        madvise=233,
        preadv2=286,
        membarrier=283,
        kill=129,
        tgkill=131,
        forks=(),
        has_x32=False,
    ),
}
