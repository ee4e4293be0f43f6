"""The addon of the zygote of Node.js is what its source gives."""

import pytest

from tests.native_addon import MACHINES, NATIVE, build


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.timeout(300)
def test_a_build_of_the_source_gives_the_binary_byte_for_byte(tmp_path, machine):
    pytest.importorskip("ziglang", reason="the lock files have the compiler: run `make test`")
    build(machine, tmp_path / "addon.node")
    assert (tmp_path / "addon.node").read_bytes() == (NATIVE / f"{machine}.node").read_bytes()
