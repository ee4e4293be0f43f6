"""The zygote by itself, with the test in the place of the service."""

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define

from adapters.sandbox.guest.python.zygote import FREE_NETWORKS_MAX, NetworkPool
from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.zygote.launch import DescriptorEnds, pid_of, pipe, start_zygote
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from domain.scripts.language import Language

MEASURES_GUEST = True
TIMEOUT_S = 20


@define
class OpenZygote:
    """A zygote that is ready, the service's end of its control socket, and its process descriptor."""

    control: socket.socket
    pid_fd: int

    def order(self, order: object, number: int = 1) -> DescriptorEnds:
        ends = DescriptorEnds.make()
        socket.send_fds(self.control, [json.dumps({"id": number, **order}).encode()], ends.theirs)
        ends.close_theirs()
        return ends

    def report(self) -> dict[str, object]:
        message, descriptors, _, _ = socket.recv_fds(self.control, 4096, 1)
        for descriptor in descriptors:
            os.close(descriptor)
        return json.loads(message)

    def start(self, order: object, number: int) -> tuple[DescriptorEnds, int]:
        """Start a worker; return its ends and its process id."""
        ends = self.order(order, number)
        message, (pid_fd,), _, _ = socket.recv_fds(self.control, 4096, 1)
        assert json.loads(message) == {"id": number}
        pid = pid_of(pid_fd)
        os.close(pid_fd)
        ends.channel.setblocking(True)
        assert b'"ready"' in ends.channel.recv(4096)
        return ends, pid

    def end(self, ends: DescriptorEnds, number: int) -> None:
        ends.close()
        assert self.report()["id"] == number

    def has_ended(self) -> bool:
        waiting = select.poll()
        waiting.register(self.pid_fd, select.POLLIN)
        return bool(waiting.poll(TIMEOUT_S * 1000))


@contextlib.contextmanager
def zygote_of(spec: SandboxSpec) -> Iterator[OpenZygote]:
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with control, contextlib.ExitStack() as closing:
        # Its streams are pipes, as those of workers are.
        _, stream = pipe(closing, closing)
        launcher = start_zygote(spec, theirs.fileno(), stream)
        theirs.close()
        control.settimeout(TIMEOUT_S)
        try:
            control.send(json.dumps(spec.setup()).encode())
            message, (pid_fd,), _, _ = socket.recv_fds(control, 4096, 1)
            closing.callback(os.close, pid_fd)
            assert json.loads(message) == {"ready": True}
            yield OpenZygote(control, pid_fd)
        finally:
            launcher.kill()
            launcher.wait()


@pytest.fixture(params=Language)
def spec(request, runtimes_dir, built):
    return built(SandboxOptions(runtimes_dir, node_start=NodeStart.FORK)).spec(request.param)


@pytest.fixture
def zygote(spec):
    with zygote_of(spec) as zygote:
        yield zygote


def test_the_start_and_the_end_of_a_worker_are_reported(zygote, spec):
    ends = zygote.order(spec.order(), 7)
    assert zygote.report() == {"id": 7}
    ends.channel.setblocking(True)
    assert b'"ready"' in ends.channel.recv(4096)
    ends.channel.close()
    end = zygote.report()
    assert (end["id"], end["status"]) == (7, 0)
    assert 1 << 20 < end["memory_bytes"] < 1 << 28
    ends.close()


@pytest.mark.parametrize(
    ("language", "change", "words"),
    [
        (Language.PYTHON, (NodeStart.AUTO, {"limits": {"unknown": 1}}), b"RLIMIT_UNKNOWN"),
        (Language.NODEJS, (NodeStart.EXEC, {"command": ["/nowhere"]}), b"FileNotFoundError"),
        (Language.NODEJS, (NodeStart.FORK, {"limits": {"unknown": 1}}), b"RLIMIT_UNKNOWN"),
    ],
)
def test_a_process_that_cannot_become_a_worker_says_why_and_ends(runtimes_dir, built, language, change, words):
    start, changed = change
    spec = built(SandboxOptions(runtimes_dir, node_start=start)).spec(language)
    with zygote_of(spec) as zygote:
        ends = zygote.order({**spec.order(), **changed})
        assert zygote.report() == {"id": 1}
        assert zygote.report()["status"] == 1
        assert words in os.read(ends.stderr, 4096)
        ends.close()


def network_of(pid):
    return Path(f"/proc/{pid}/ns/net").readlink()


def test_a_network_namespace_is_used_again_after_its_workers_end_and_only_then(zygote, spec):
    order = spec.order()
    first, first_pid = zygote.start(order, 1)
    second, second_pid = zygote.start(order, 2)
    networks = [network_of(first_pid), network_of(second_pid)]
    assert len({*networks, network_of("self")}) == 3
    zygote.end(first, 1)
    third, third_pid = zygote.start(order, 3)
    assert network_of(third_pid) == networks[0]
    zygote.end(second, 2)
    zygote.end(third, 3)


def test_a_worker_may_have_a_network_namespace_that_no_other_was_or_will_be_in(zygote, spec):
    order = spec.order()
    pooled, pooled_pid = zygote.start(order, 1)
    networks = [network_of(pooled_pid)]
    zygote.end(pooled, 1)
    own, own_pid = zygote.start({**order, "own_network": True}, 2)
    assert network_of(own_pid) not in networks
    later, later_pid = zygote.start(order, 3)
    assert [network_of(later_pid)] == networks
    zygote.end(own, 2)
    last, last_pid = zygote.start(order, 4)
    # The number of a namespace that has ended may be used for another; this one has been kept.
    assert network_of(last_pid) != network_of(later_pid)
    zygote.end(later, 3)
    zygote.end(last, 4)


def free_networks_of(pid_fd):
    links = [descriptor.readlink() for descriptor in Path(f"/proc/{pid_of(pid_fd)}/fd").iterdir()]
    # One is the zygote's own.
    return sum(str(link).startswith("net:") for link in links) - 1


def test_a_zygote_keeps_a_bounded_number_of_free_network_namespaces(zygote, spec):
    order = spec.order()
    count = FREE_NETWORKS_MAX + 2
    workers = [(zygote.start(order, number)[0], number) for number in range(count)]
    assert free_networks_of(zygote.pid_fd) == count
    for ends, number in workers:
        zygote.end(ends, number)
    assert free_networks_of(zygote.pid_fd) == FREE_NETWORKS_MAX


class CountingPool(NetworkPool):
    """A pool whose namespaces are ends of pipes."""

    def make(self):
        end, other = os.pipe()
        os.close(other)
        return end


def test_the_pool_keeps_a_bounded_number_of_free_namespaces_and_none_whose_worker_may_live():
    pool = CountingPool()
    taken = [pool.take() for _ in range(FREE_NETWORKS_MAX + 2)]
    assert len(set(taken)) == len(taken)
    pool.drop(taken.pop())
    assert pool.free == []
    for network in taken:
        pool.put(network)
    assert pool.free == taken[:FREE_NETWORKS_MAX]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(taken[-1])
    for descriptor in (*pool.free, pool.home):
        os.close(descriptor)


def test_a_zygote_ends_with_the_service(zygote):
    zygote.control.close()
    assert zygote.has_ended()


def test_a_zygote_whose_report_has_no_receiver_ends(zygote, spec):
    signal.pidfd_send_signal(zygote.pid_fd, signal.SIGSTOP)
    ends = zygote.order(spec.order())
    zygote.control.close()
    signal.pidfd_send_signal(zygote.pid_fd, signal.SIGCONT)
    assert zygote.has_ended()
    ends.close()
