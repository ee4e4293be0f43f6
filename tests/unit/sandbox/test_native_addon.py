"""The addon of the zygote of Node.js is what its source gives."""

import pytest

from tests.native_addon import MACHINES, NATIVE, SUMS, build, sums


def test_the_hashes_are_those_of_the_source_and_the_binaries():
    assert SUMS.read_text() == sums(), "run `make native`"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.timeout(300)
def test_a_build_of_the_source_gives_the_binary_byte_for_byte(tmp_path, machine):
    pytest.importorskip("ziglang", reason="the lock files have the compiler: run `make unit`")
    build(machine, tmp_path / "addon.node")
    assert (tmp_path / "addon.node").read_bytes() == (NATIVE / f"{machine}.node").read_bytes()
