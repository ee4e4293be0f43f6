"""Connections of the egress process to hosts."""

import os
import resource
from ipaddress import ip_address

import pytest

from adapters.egress.resolution import Refused
from adapters.egress.tunnel import connect
from domain.egress.traffic import RefusalReason


async def test_a_host_for_whose_addresses_there_is_no_socket_cannot_be_reached():
    """Without IPv6 in the kernel, an address of IPv6 has none; here no file descriptor is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(Refused) as refused:
            await connect([ip_address("127.0.0.1"), ip_address("::1")], 9, 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.value.reason is RefusalReason.UNREACHABLE
