"""The filter of workers with a network: TCP of IPv4 on their own loopback, and nothing else."""

import errno

import pytest

from adapters.sandbox.isolation.seccomp import inherited_filter, network_filter, worker_filter
from adapters.sandbox.isolation.system_calls import MACHINES
from tests.unit.sandbox.bpf import IDLE, decide

STREAM, DATAGRAM, RAW, SEQPACKET = 1, 2, 3, 5
NONBLOCK, CLOEXEC = 0x800, 0x80000


@pytest.fixture(params=sorted(MACHINES))
def machine(request):
    return request.param


@pytest.fixture
def programs(machine):
    return [inherited_filter(machine), network_filter(machine)]


@pytest.mark.parametrize("protocol", [0, 6])
@pytest.mark.parametrize("flags", [0, NONBLOCK, CLOEXEC, NONBLOCK | CLOEXEC])
def test_a_tcp_socket_of_ipv4_may_be_made(programs, machine, protocol, flags):
    assert decide(programs, machine, MACHINES[machine].denied["socket"], [2, STREAM | flags, protocol]) == 0


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (1, STREAM, 0),
        (10, STREAM, 0),
        (16, RAW, 0),
        (17, RAW, 3),
        (38, SEQPACKET, 0),
        (40, STREAM, 0),
        (2, DATAGRAM, 0),
        (2, RAW, 1),
        (2, SEQPACKET, 132),
        (2, STREAM, 262),  # MPTCP
        (2, STREAM, 132),
        (2, STREAM | DATAGRAM, 0),
    ],
)
def test_no_other_socket_may_be_made(programs, machine, family, kind, protocol):
    assert decide(programs, machine, MACHINES[machine].denied["socket"], [family, kind, protocol]) == errno.EPERM


@pytest.mark.parametrize("name", ["bind", "listen", "sendmsg", "sendmmsg", "unshare", "setns", "mount", "ptrace"])
def test_no_worker_listens_or_passes_descriptors_on(programs, machine, name):
    assert decide(programs, machine, MACHINES[machine].denied[name], [3, 0, 0]) == errno.EPERM


@pytest.mark.parametrize(("level", "name"), [(1, 2), (1, 9), (6, 1), (6, 4), (6, 5), (6, 6), (6, 18), (0, 1)])
def test_the_options_that_clients_set_are_set(programs, machine, level, name):
    assert decide(programs, machine, MACHINES[machine].setsockopt, [3, level, name]) == 0


@pytest.mark.parametrize("name", [7, 8])
def test_the_sizes_of_buffers_stay_and_programs_continue(programs, machine, name):
    assert decide(programs, machine, MACHINES[machine].setsockopt, [3, 1, name]) == IDLE


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (1, 25),  # SO_BINDTODEVICE
        (1, 26),  # SO_ATTACH_FILTER
        (1, 50),  # SO_ATTACH_BPF
        (1, 32),  # SO_SNDBUFFORCE
        (1, 36),  # SO_MARK
        (6, 13),  # TCP_CONGESTION
        (6, 19),  # TCP_REPAIR
        (6, 31),  # TCP_ULP
        (6, 30),  # TCP_FASTOPEN_CONNECT
        (0, 19),  # IP_TRANSPARENT
        (0, 7),
        (41, 26),
        (282, 1),  # TLS
        (270, 9),
    ],
)
def test_no_other_option_exists(programs, machine, level, name):
    assert decide(programs, machine, MACHINES[machine].setsockopt, [3, level, name]) == errno.ENOPROTOOPT


@pytest.mark.parametrize(("flags", "error"), [(0, 0), (0x4000, 0), (1, errno.EPERM), (0x2000_0000, errno.EPERM)])
def test_no_bytes_are_sent_out_of_band_or_with_a_connect(programs, machine, flags, error):
    assert decide(programs, machine, MACHINES[machine].sendto, [3, 0, 1, flags]) == error


def test_every_other_call_is_decided_as_for_workers_without_a_network(programs, machine):
    facts = MACHINES[machine]
    plain = [inherited_filter(machine), worker_filter(machine)]
    changed = {facts.denied["socket"], facts.setsockopt, facts.sendto}
    for number in set(range(480)) - changed:
        for arguments in ([0] * 6, [2, 1, 6, 1, 1, 1], [22, 9, 9, 0x40000, 5, 1], [0x003D0F00, 0x5412, 2, 4, 3, 8]):
            assert decide(programs, machine, number, arguments) == decide(plain, machine, number, arguments)


def test_the_filter_fits_into_a_message_and_is_short(programs):
    assert 0 < len(programs[1]) <= 4096
