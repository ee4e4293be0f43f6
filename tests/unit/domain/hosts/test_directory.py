"""The fake directory of runtime hosts keeps the contract."""

import pytest

from adapters.memory.runtime_hosts import MemoryHostDirectory
from domain.errors import StorageUnavailable
from tests.contracts.host_directory import FULL_AT, HostDirectoryContract, host


class TestMemoryHostDirectory(HostDirectoryContract):
    @pytest.fixture
    def directory(self) -> MemoryHostDirectory:
        return MemoryHostDirectory(FULL_AT)


async def test_while_its_failure_is_set_the_directory_raises_it() -> None:
    directory = MemoryHostDirectory(failure=StorageUnavailable())
    with pytest.raises(StorageUnavailable):
        await directory.hosts()
    with pytest.raises(StorageUnavailable):
        await directory.register(host())
