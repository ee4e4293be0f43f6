"""The certificates of runtime hosts: loaded once, beside the event loop, and again after a change."""

import asyncio
import ssl
import threading

import pytest

from adapters.remote_runtime.connection import HostConnection, HostUnreached
from adapters.remote_runtime.dial import dial
from adapters.remote_runtime.fleet import HostView, ignore_change
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.stream import HostStream
from adapters.remote_runtime.verification import Verification


class Loading:
    """Makes contexts without certificates, and takes note of the threads on which."""

    def __init__(self):
        self.threads = []

    def __call__(self, _ca_file):
        self.threads.append(threading.get_ident())
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def loading():
    return Loading()


@pytest.fixture
def ca_file(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("first")
    return file


@pytest.mark.parametrize("checked_each_s", [0, 60])
async def test_all_connections_share_one_context_which_is_not_made_on_the_loop(loading, ca_file, checked_each_s):
    verification = Verification(str(ca_file), loading, checked_each_s)
    contexts = await asyncio.gather(*(verification.context() for _ in range(5)))
    assert len(set(contexts)) == 1
    (thread,) = loading.threads
    assert thread != threading.get_ident()


async def test_a_file_that_has_changed_makes_a_new_context(loading, ca_file):
    verification = Verification(str(ca_file), loading, 0)
    first = await verification.context()
    ca_file.write_text("the second")
    assert await verification.context() is not first
    assert len(loading.threads) == 2


async def test_the_file_is_looked_at_once_in_its_time(loading, ca_file):
    verification = Verification(str(ca_file), loading, 60)
    first = await verification.context()
    ca_file.unlink()
    assert await verification.context() is first


async def test_the_certificates_of_the_system_need_no_file(loading):
    assert isinstance(await Verification(None, loading).context(), ssl.SSLContext)


async def test_a_host_is_not_connected_to_without_certificates(tmp_path):
    options = RuntimeOptions(ca_file=str(tmp_path / "missing.pem"))
    connection = HostConnection("https://127.0.0.1:1", options)
    with pytest.raises(HostUnreached, match="FileNotFoundError"):
        await dial(connection, options, HostStream(HostView(), options, ignore_change))
    with pytest.raises(OSError, match=r"missing\.pem"):
        await connection.open()


async def test_a_request_needs_certificates_that_can_be_used(loading, ca_file):
    connection = HostConnection(
        "https://127.0.0.1:1", RuntimeOptions(), verification=Verification(str(ca_file), loading, 0)
    )
    await connection.open()
    ca_file.unlink()
    with pytest.raises(HostUnreached, match="it cannot be verified"):
        await connection.get("/health", asyncio.get_running_loop().time() + 10, 1000)
    await connection.close()
