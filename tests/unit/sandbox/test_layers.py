"""The layers of isolation are read from what the kernel shows of a process."""

import os

from adapters.sandbox.isolation.layers import layers_in, shared_namespaces


def test_missing_layers_are_named():
    status = "NSpid:\t10\t1\nCapEff:\t0000\nCapBnd:\t0000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    assert layers_in(status).missing == []
    assert len(layers_in("").missing) == 4
    assert layers_in(status.replace("\t1\nCap", "\t7\nCap")).missing == ["a process namespace"]
    assert layers_in(f"{status}Seccomp_filters:\t3\n", (), 1).missing == []
    assert layers_in(f"{status}Seccomp_filters:\t2\n", (), 1).missing == ["the system call filters (seccomp)"]
    assert layers_in(status, ("net", "ipc")).missing == ["namespaces of its own (net, ipc)"]


def test_a_process_shares_every_namespace_with_itself():
    assert len(shared_namespaces(os.getpid(), os.getpid())) == 7
