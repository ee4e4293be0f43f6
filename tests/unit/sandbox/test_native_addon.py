"""The addon of the zygote of Node.js comes from its source, as `tests/integration/sandbox` builds it again."""

from tests.native_addon import SUMS, sums


def test_the_hashes_are_those_of_the_source_and_the_binaries():
    assert SUMS.read_text() == sums(), "run `make native`"
