"""The two filters of a worker, run by a small interpreter of BPF, decide together about every call as they should."""

import errno

import pytest

from adapters.sandbox.isolation.seccomp import inherited_filter, worker_filter
from adapters.sandbox.isolation.system_calls import MACHINES
from tests.unit.sandbox.bpf import IDLE, decide, verdict

NAMES = sorted(MACHINES)


def both_filters(machine):
    return [inherited_filter(machine), worker_filter(machine)]


@pytest.fixture(params=NAMES)
def machine(request):
    return request.param


@pytest.fixture
def programs(machine):
    return both_filters(machine)


@pytest.fixture
def late(machine):
    return MACHINES[machine].late


ARGUMENTS = [
    [*(position * [1]), value, *((3 - position) * [1])]
    for position in range(4)
    for value in (0, 2, 5, 6, 8, 10, 22, 33, 67, 1031, 0x5412, 0x11, 0x003D0F00, 0x10000000, 0x40022, 1 << 32)
]


def test_a_filter_fits_into_the_smallest_pipe_and_is_no_longer_than_the_kernel_accepts(programs):
    assert all(0 < len(program) <= 4096 for program in programs)


def test_the_filter_that_each_worker_loads_is_the_short_one(programs):
    inherited, own = programs
    assert len(own) < len(inherited) / 2


def test_each_call_is_decided_by_one_of_the_two_filters(programs, machine, late):
    inherited, own = programs
    for number in range(470):
        other = inherited if number in late else own
        assert [verdict(other, machine, number, arguments) for arguments in ARGUMENTS] == [0] * len(ARGUMENTS)


def test_a_zygote_may_make_the_calls_that_starts_need_and_that_workers_with_a_network_would_make(programs, machine):
    inherited, _ = programs
    facts = MACHINES[machine]
    needed = ["unshare", "setns", "mount", "umount2", "chroot", "sethostname", "sched_setaffinity", "pidfd_open"]
    networks = ["socket", "bind", "listen", "sendmsg"]
    numbers = [*(facts.denied[name] for name in needed + networks), facts.setsockopt, facts.clone, facts.prctl]
    assert [verdict(inherited, machine, number, [22, 1, 22]) for number in numbers] == [0] * len(numbers)
    assert [decide(programs, machine, number, [22, 1, 26]) for number in numbers[:-2]] == [errno.EPERM] * (
        len(numbers) - 2
    )


def test_what_no_start_needs_is_denied_in_the_zygote_too(programs, machine, late):
    inherited, _ = programs
    denied = {number for number in MACHINES[machine].denied.values() if number not in late}
    assert len(denied) > 70
    assert {verdict(inherited, machine, number) for number in denied} == {errno.EPERM}


def test_memory_is_kept_from_forks_unless_the_zygote_is_one_that_would_not_survive_it(machine):
    madvise, dontfork = MACHINES[machine].madvise, 10
    ignoring = inherited_filter(machine, ignores_dontfork=True)
    assert verdict(inherited_filter(machine), machine, madvise, [0, 4096, dontfork]) == 0
    assert verdict(ignoring, machine, madvise, [0, 4096, dontfork]) == IDLE
    assert [verdict(ignoring, machine, madvise, [0, 4096, advice]) for advice in (4, 8, 9, 11)] == [0] * 4


@pytest.mark.parametrize(("advice", "error"), [(12, 1), (20, 1), (21, 1), (4, 0), (8, 0), (14, 0)])
def test_pages_are_not_merged_with_those_of_others_nor_dropped_from_the_cache(machine, advice, error):
    for ignores_dontfork in (False, True):
        program = inherited_filter(machine, ignores_dontfork=ignores_dontfork)
        assert verdict(program, machine, MACHINES[machine].madvise, [0, 4096, advice]) == error


@pytest.mark.parametrize(("flags", "error"), [(0, 0), (8, errno.EOPNOTSUPP), (1, errno.EOPNOTSUPP)])
def test_no_read_tells_whether_a_file_is_in_the_page_cache(programs, machine, flags, error):
    assert decide(programs, machine, MACHINES[machine].preadv2, [3, 0, 1, 0, 0, flags]) == error


@pytest.mark.parametrize(("command", "error"), [(0, 0), (8, 0), (16, 0), (32, 0), (1, 1), (2, 1), (4, 1)])
def test_no_barrier_interrupts_the_processors_of_other_processes(programs, machine, command, error):
    assert decide(programs, machine, MACHINES[machine].membarrier, [command]) == error


def test_every_call_on_the_list_is_denied(programs, machine):
    for number in MACHINES[machine].denied.values():
        assert decide(programs, machine, number) == errno.EPERM


@pytest.mark.parametrize(
    "name",
    ["ptrace", "mount", "bpf", "keyctl", "userfaultfd", "io_uring_setup", "perf_event_open", "init_module", "unshare",
     "setns", "socket", "bind", "listen", "memfd_create", "shmget", "msgget", "semget", "process_vm_readv", "pidfd_getfd", "setrlimit",
     "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "sendmsg", "sendmmsg", "vmsplice", "splice", "tee", "io_setup",
     "seccomp", "sched_setaffinity", "sched_setattr", "sched_setscheduler", "sched_setparam", "setpriority", "ioprio_set",
     "timer_create", "mincore", "cachestat"],
)  # fmt: skip
def test_dangerous_calls_are_denied_on_every_machine(machine, name):
    assert name in MACHINES[machine].denied


@pytest.mark.parametrize(("name", "numbers"), [("x86_64", (0, 1, 3, 9, 202, 231)), ("aarch64", (63, 64, 98, 222))])
def test_calls_that_every_program_needs_are_allowed(name, numbers):
    assert [decide(both_filters(name), name, number) for number in numbers] == [0] * len(numbers)


def test_another_architecture_is_denied(programs, machine):
    assert decide(programs, machine, 1, architecture=0x40000003) == errno.EPERM


def test_the_x32_variants_are_denied():
    assert decide(both_filters("x86_64"), "x86_64", 0x40000000 | 1) == errno.EPERM


def test_a_thread_may_be_started_and_a_process_may_not(programs, machine):
    clone = MACHINES[machine].clone
    assert decide(programs, machine, clone, [0x003D0F00]) == 0
    assert decide(programs, machine, clone, [0x11]) == errno.EAGAIN


def test_threads_share_one_table_of_open_files(programs, machine):
    assert decide(programs, machine, MACHINES[machine].clone, [0x003D0F00 & ~0x400]) == errno.EAGAIN
    close_range = MACHINES[machine].close_range
    assert [decide(programs, machine, close_range, [3, 9, flags]) for flags in (0, 4, 2, 6)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "flag",
    [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000],
    ids=["time", "mount", "cgroup", "uts", "ipc", "user", "pid", "net"],
)
def test_no_namespace_may_be_made_not_even_with_a_thread(programs, machine, flag):
    assert decide(programs, machine, MACHINES[machine].clone, [flag | 0x003D0F00]) == errno.EPERM


def test_forks_fail_as_if_there_were_too_many_processes():
    programs = both_filters("x86_64")
    assert [decide(programs, "x86_64", number) for number in (57, 58)] == [errno.EAGAIN] * 2


def test_clone3_does_not_exist_so_that_libraries_use_clone(programs, machine):
    assert decide(programs, machine, 435) == errno.ENOSYS


@pytest.mark.parametrize("number", [470, 471, 10_000])
def test_calls_that_are_newer_than_the_list_do_not_exist(programs, machine, number):
    assert decide(programs, machine, number) == errno.ENOSYS
    assert decide(programs, machine, 469) == 0


def test_calls_that_wait_for_a_disk_or_change_how_others_find_a_file_do_nothing(programs, machine):
    disk = {"sync", "syncfs", "fsync", "fdatasync", "sync_file_range", "msync"}
    assert set(MACHINES[machine].idle) == disk | {"flock", "fadvise64", "readahead"}
    assert {decide(programs, machine, number) for number in MACHINES[machine].idle.values()} == {IDLE}


def test_the_parent_death_signal_stays_and_no_filter_or_core_scheduling_is_added(programs, machine):
    prctl = MACHINES[machine].prctl
    assert decide(programs, machine, prctl, [1, 0]) == errno.EPERM
    assert decide(programs, machine, prctl, [22, 2]) == errno.EPERM
    assert decide(programs, machine, prctl, [62, 1]) == errno.EPERM
    assert decide(programs, machine, prctl, [15]) == 0


@pytest.mark.parametrize(
    ("option", "error"),
    [(66, 0), (67, errno.EINVAL), (78, errno.EINVAL), (0x53564D41, errno.EINVAL)],
    ids=["the last one that is known", "merged memory", "a table for futexes", "names of mappings"],
)
def test_newer_options_of_prctl_do_not_exist(programs, machine, option, error):
    assert decide(programs, machine, MACHINES[machine].prctl, [option, 1]) == error


@pytest.mark.parametrize(
    ("command", "verdict"),
    [(1024, 1), (1026, 1), (1031, 1), (1040, 1), (37, 1), (38, 1), (6, IDLE), (7, IDLE), (5, 0), (3, 0), (4, 0), (1030, 0)],
    ids=["lease", "notify", "pipe size", "delegation", "file lock", "file lock wait", "lock", "lock wait", "get lock",
         "get flags", "set flags", "duplicate"],
)  # fmt: skip
def test_file_commands_are_allowed_denied_or_ignored(programs, machine, command, verdict):
    assert decide(programs, machine, MACHINES[machine].fcntl, [3, command]) == verdict


@pytest.mark.parametrize(("family", "error"), [(1, 0), (0, 1), (2, 1), (30, 1), (38, 1)])
def test_pairs_of_sockets_are_of_the_only_family_that_needs_no_module(programs, machine, family, error):
    assert decide(programs, machine, MACHINES[machine].socketpair, [family, 1]) == error


@pytest.mark.parametrize(
    ("kind", "error"),
    [(1, 0), (5, 0), (0x80801, 0), (0x80805, 0), (2, 1), (3, 1), (0x80802, 1)],
    ids=["stream", "seqpacket", "stream with flags", "seqpacket with flags", "datagram", "raw", "datagram with flags"],
)
def test_pairs_of_sockets_accept_no_other_senders(programs, machine, kind, error):
    assert decide(programs, machine, MACHINES[machine].socketpair, [1, kind]) == error


@pytest.mark.parametrize(
    ("option", "verdict"),
    [(7, IDLE), (8, IDLE), (32, 1), (33, 1), (26, 1), (44, 1), (50, 1), (51, 1), (52, 1), (73, 1), (2, 0), (9, 0), (20, 0)],
    ids=["send buffer", "receive buffer", "forced send buffer", "forced receive buffer", "filter", "locked filter", "bpf",
         "reuseport filter", "reuseport bpf", "reserved memory", "reuse of addresses", "keepalive", "timeout"],
)  # fmt: skip
def test_sockets_keep_their_buffers_and_accept_no_programs(programs, machine, option, verdict):
    setsockopt = MACHINES[machine].setsockopt
    assert decide(programs, machine, setsockopt, [3, 1, option]) == verdict
    assert decide(programs, machine, setsockopt, [3, 6, option]) == 0


@pytest.mark.parametrize(("flags", "error"), [(0, 0), (0x4040, 0), (1, 1), (0x4041, 1)])
def test_nothing_is_sent_out_of_band(programs, machine, flags, error):
    assert decide(programs, machine, MACHINES[machine].sendto, [3, 0, 1, flags]) == error


@pytest.mark.parametrize(
    ("flags", "error"), [(0x22, 0), (0x11, 0), (0x40022, errno.ENOMEM), (0x54040022, errno.ENOMEM)]
)
def test_memory_is_not_from_the_hosts_huge_pages(programs, machine, flags, error):
    assert decide(programs, machine, MACHINES[machine].mmap, [0, 4096, 3, flags]) == error


@pytest.mark.parametrize(("request_number", "error"), [(0x5412, 1), (0x541C, 1), (0x5401, 0)])
def test_nothing_can_be_typed_into_a_terminal(programs, machine, request_number, error):
    assert decide(programs, machine, MACHINES[machine].ioctl, [0, request_number]) == error


@pytest.mark.parametrize(("number", "error"), [(9, 1), (15, 1), (19, 1), (0, 0), (2, 0), (6, 0), (12, 0)])
def test_a_signal_that_would_end_a_process_is_denied_in_a_worker_and_allowed_in_a_zygote(
    programs, machine, number, error
):
    inherited, _ = programs
    facts = MACHINES[machine]
    for call, arguments in ((facts.kill, [1, number]), (facts.tgkill, [1, 1, number])):
        assert decide(programs, machine, call, arguments) == error
        assert verdict(inherited, machine, call, arguments) == 0


@pytest.mark.parametrize(("new_limit", "error"), [(0, 0), (0x1000, 1), (0x7F00_0000_0000, 1)])
def test_limits_can_be_read_but_not_set(programs, machine, new_limit, error):
    assert decide(programs, machine, MACHINES[machine].prlimit64, [0, 7, new_limit]) == error


def test_a_machine_without_a_list_has_no_filter():
    with pytest.raises(KeyError):
        both_filters("vax")
